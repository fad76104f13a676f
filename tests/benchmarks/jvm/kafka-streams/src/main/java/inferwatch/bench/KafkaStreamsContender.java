package inferwatch.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * Requests counted by Kafka Streams: grouped, windowed by event time, aggregated in RocksDB.
 *
 * <p>Arguments: bootstrap servers, input topic, output topic, folder of state, threads.
 */
public final class KafkaStreamsContender {
    /**
     * Threads catch up at their own pace, and a window is closed by the newest event that came
     * through the repartition topic, whoever sent it: the grace must cover the whole backlog.
     */
    private static final Duration GRACE = Duration.ofHours(3);

    /** A process that is stopped while its load is published must stay a member. */
    private static final int STOPPED_MILLIS = 600_000;

    private KafkaStreamsContender() {}

    public static void main(String[] arguments) {
        String servers = arguments[0];
        String input = arguments[1];
        String output = arguments[2];
        Path folder = Path.of(arguments[3]);
        int threads = Integer.parseInt(arguments[4]);
        KafkaStreams streams =
                new KafkaStreams(topology(input, output), settings(servers, folder, threads));
        streams.start();
    }

    private static Topology topology(String input, String output) {
        Serde<byte[]> bytes = Serdes.ByteArray();
        // Threads share a serde, and the readers and the writer are for one thread each.
        ThreadLocal<RequestReader> events = ThreadLocal.withInitial(RequestReader::ofEvents);
        ThreadLocal<RequestReader> reader = ThreadLocal.withInitial(RequestReader::ofCounted);
        ThreadLocal<RequestWriter> writer = ThreadLocal.withInitial(RequestWriter::new);
        Serde<CountedRequest> event = Serdes.serdeFrom(
                (topic, request) -> writer.get().write(request),
                (topic, value) -> events.get().read(value));
        Serde<CountedRequest> counted = Serdes.serdeFrom(
                (topic, request) -> writer.get().write(request),
                (topic, value) -> reader.get().read(value));
        Serde<Measures> measures = Serdes.serdeFrom(
                (topic, value) -> value.toBytes(), (topic, value) -> Measures.fromBytes(value));
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(input, Consumed.with(bytes, event).withTimestampExtractor(
                        (record, latest) ->
                                Results.millis(((CountedRequest) record.value()).getEventTime())))
                .groupBy(
                        (key, request) -> Results.group(
                                request.getServiceName(), request.getGenAiRequestModel()),
                        Grouped.with(Serdes.String(), counted))
                .windowedBy(TimeWindows.ofSizeAndGrace(
                        Duration.ofSeconds(Results.WINDOW_SECONDS), GRACE))
                .aggregate(
                        Measures::new,
                        (group, request, window) -> window.add(request),
                        Materialized.with(Serdes.String(), measures))
                .toStream()
                .map((window, value) ->
                        KeyValue.pair(Results.key(window.window().start(), window.key()), value))
                .to(output, Produced.with(bytes, measures));
        return builder.build();
    }

    private static Properties settings(String servers, Path folder, int threads) {
        Properties settings = new Properties();
        settings.putAll(Map.of(
                StreamsConfig.APPLICATION_ID_CONFIG, "kafka-streams",
                StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers,
                StreamsConfig.STATE_DIR_CONFIG, folder.toString(),
                StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads,
                // Results as fresh as the other contenders'; the default is 30 s.
                StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000,
                StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest",
                StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG),
                STOPPED_MILLIS,
                StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_INTERVAL_MS_CONFIG),
                STOPPED_MILLIS));
        return settings;
    }
}
