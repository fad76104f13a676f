package inferwatch.bench;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/** Groups, windows and what names a result in the output topic. */
public final class Results {
    public static final long WINDOW_SECONDS = 10;

    private static final char SEPARATOR = '\n';

    private Results() {}

    /** Service and model as one key. */
    public static String group(CharSequence service, CharSequence model) {
        return service.toString() + SEPARATOR + model;
    }

    /** Window's start in seconds since 1970, service and model: a line each. */
    public static byte[] key(long windowStartMillis, String group) {
        long start = TimeUnit.MILLISECONDS.toSeconds(windowStartMillis);
        return (Long.toString(start) + SEPARATOR + group).getBytes(StandardCharsets.UTF_8);
    }

    /** Kafka's and Flink's times are in milliseconds. */
    public static long millis(long micros) {
        return TimeUnit.MICROSECONDS.toMillis(micros);
    }
}
