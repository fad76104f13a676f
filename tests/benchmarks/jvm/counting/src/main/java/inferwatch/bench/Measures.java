package inferwatch.bench;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * What one window of one group comes to: the measures of requests.v1.
 *
 * <p>Its bytes are state and result: the longs in the order of the fields, both histograms (zeros,
 * first bin, number of bins, counts), then the errors (number, and for each length, UTF-8, count). Its fields are public for Flink, which serialises
 * such a class without Kryo.
 */
public final class Measures {
    private static final double MICROS = 1e6;
    private static final int LONGS = 11;

    public long requests;
    public long inputTokens;
    public long outputTokens;
    public long cachedTokens;
    public long reasoningTokens;
    public long costUsdMicros;
    public long pricedRequests;
    public long durations;
    public long durationMicros;
    public long firstTokens;
    public long firstTokenMicros;
    public Histogram durationBins = new Histogram();
    public Histogram firstTokenBins = new Histogram();
    public Map<String, Integer> errors = new HashMap<>();

    /** Counts one request. */
    public Measures add(CountedRequest event) {
        requests++;
        if (event.getErrorType() != null) {
            errors.merge(event.getErrorType(), 1, Integer::sum);
        }
        inputTokens += orZero(event.getGenAiUsageInputTokens());
        outputTokens += orZero(event.getGenAiUsageOutputTokens());
        cachedTokens += orZero(event.getGenAiUsageCacheReadInputTokens());
        reasoningTokens += orZero(event.getGenAiUsageReasoningOutputTokens());
        if (event.getCostUsdMicros() != null) {
            pricedRequests++;
            costUsdMicros += event.getCostUsdMicros();
        }
        Double duration = event.getDurationSeconds();
        if (duration != null) {
            durations++;
            durationMicros += (long) Math.rint(duration * MICROS);
            durationBins.add(duration);
        }
        Double first = event.getTimeToFirstTokenSeconds();
        if (first != null) {
            firstTokens++;
            firstTokenMicros += (long) Math.rint(first * MICROS);
            firstTokenBins.add(first);
        }
        return this;
    }

    /** Adds another share of the same window and group. */
    public Measures merge(Measures other) {
        requests += other.requests;
        inputTokens += other.inputTokens;
        outputTokens += other.outputTokens;
        cachedTokens += other.cachedTokens;
        reasoningTokens += other.reasoningTokens;
        costUsdMicros += other.costUsdMicros;
        pricedRequests += other.pricedRequests;
        durations += other.durations;
        durationMicros += other.durationMicros;
        firstTokens += other.firstTokens;
        firstTokenMicros += other.firstTokenMicros;
        durationBins.merge(other.durationBins);
        firstTokenBins.merge(other.firstTokenBins);
        other.errors.forEach((type, count) -> errors.merge(type, count, Integer::sum));
        return this;
    }

    public byte[] toBytes() {
        Map<byte[], Integer> types = new HashMap<>();
        int size = Long.BYTES * LONGS + durationBins.size() + firstTokenBins.size() + Integer.BYTES;
        for (Map.Entry<String, Integer> error : errors.entrySet()) {
            byte[] type = error.getKey().getBytes(StandardCharsets.UTF_8);
            types.put(type, error.getValue());
            size += 2 * Integer.BYTES + type.length;
        }
        ByteBuffer into = ByteBuffer.allocate(size);
        into.putLong(requests).putLong(inputTokens).putLong(outputTokens).putLong(cachedTokens)
                .putLong(reasoningTokens).putLong(costUsdMicros).putLong(pricedRequests)
                .putLong(durations).putLong(durationMicros).putLong(firstTokens)
                .putLong(firstTokenMicros);
        durationBins.write(into);
        firstTokenBins.write(into);
        into.putInt(types.size());
        types.forEach((type, count) -> into.putInt(type.length).put(type).putInt(count));
        return into.array();
    }

    public static Measures fromBytes(byte[] bytes) {
        ByteBuffer from = ByteBuffer.wrap(bytes);
        Measures read = new Measures();
        read.requests = from.getLong();
        read.inputTokens = from.getLong();
        read.outputTokens = from.getLong();
        read.cachedTokens = from.getLong();
        read.reasoningTokens = from.getLong();
        read.costUsdMicros = from.getLong();
        read.pricedRequests = from.getLong();
        read.durations = from.getLong();
        read.durationMicros = from.getLong();
        read.firstTokens = from.getLong();
        read.firstTokenMicros = from.getLong();
        read.durationBins = Histogram.read(from);
        read.firstTokenBins = Histogram.read(from);
        for (int left = from.getInt(); left > 0; left--) {
            byte[] type = new byte[from.getInt()];
            from.get(type);
            read.errors.put(new String(type, StandardCharsets.UTF_8), from.getInt());
        }
        return read;
    }

    private static long orZero(Long value) {
        return value == null ? 0 : value;
    }
}
