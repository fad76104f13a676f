package inferwatch.bench;

import java.nio.file.Path;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.HeartbeatManagerOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Requests counted by Flink: keyed, windowed by event time, aggregated on the heap, checkpointed.
 *
 * <p>Arguments: bootstrap servers, input topic, output topic, folder of checkpoints, parallelism,
 * disorder in seconds.
 */
public final class FlinkContender {
    private static final long CHECKPOINT_MILLIS = 1000;

    /** A process that is stopped while its load is published must not be taken for dead. */
    private static final Duration STOPPED = Duration.ofMinutes(10);

    private FlinkContender() {}

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0];
        String input = arguments[1];
        String output = arguments[2];
        Path folder = Path.of(arguments[3]);
        int parallelism = Integer.parseInt(arguments[4]);
        Duration disorder = Duration.ofSeconds(Long.parseLong(arguments[5]));

        Configuration settings = new Configuration();
        settings.set(HeartbeatManagerOptions.HEARTBEAT_TIMEOUT, STOPPED);
        settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
        settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, folder.toUri().toString());
        // Kryo, the slow way for types that Flink does not know, would be an error.
        settings.set(PipelineOptions.GENERIC_TYPES, false);
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings);
        environment.enableCheckpointing(CHECKPOINT_MILLIS);
        // Nothing here keeps or changes an object it has handed on, so none need be copied.
        environment.getConfig().enableObjectReuse();

        environment
                .fromSource(source(servers, input), watermarks(disorder), "requests")
                .keyBy(
                        request -> Tuple2.of(
                                request.getServiceName(), request.getGenAiRequestModel()),
                        Types.TUPLE(Types.STRING, Types.STRING))
                .window(TumblingEventTimeWindows.of(Duration.ofSeconds(Results.WINDOW_SECONDS)))
                .aggregate(new Count(), new Emit())
                .sinkTo(sink(servers, output));
        environment.execute("requests");
    }

    private static KafkaSource<CountedRequest> source(String servers, String topic) {
        return KafkaSource.<CountedRequest>builder()
                .setBootstrapServers(servers)
                .setTopics(topic)
                .setGroupId("flink")
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setValueOnlyDeserializer(new RequestSchema())
                .build();
    }

    private static WatermarkStrategy<CountedRequest> watermarks(Duration disorder) {
        return WatermarkStrategy.<CountedRequest>forBoundedOutOfOrderness(disorder)
                .withTimestampAssigner((request, ignored) -> Results.millis(request.getEventTime()));
    }

    private static KafkaSink<Tuple2<byte[], byte[]>> sink(String servers, String topic) {
        return KafkaSink.<Tuple2<byte[], byte[]>>builder()
                .setBootstrapServers(servers)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setRecordSerializer((result, context, timestamp) ->
                        new ProducerRecord<>(topic, result.f0, result.f1))
                .build();
    }

    private static final class Count implements AggregateFunction<CountedRequest, Measures, Measures> {
        @Override
        public Measures createAccumulator() {
            return new Measures();
        }

        @Override
        public Measures add(CountedRequest request, Measures measures) {
            return measures.add(request);
        }

        @Override
        public Measures getResult(Measures measures) {
            return measures;
        }

        @Override
        public Measures merge(Measures one, Measures other) {
            return one.merge(other);
        }
    }

    private static final class Emit
            extends ProcessWindowFunction<
                    Measures, Tuple2<byte[], byte[]>, Tuple2<String, String>, TimeWindow> {
        @Override
        public void process(
                Tuple2<String, String> group,
                Context context,
                Iterable<Measures> measures,
                Collector<Tuple2<byte[], byte[]>> results) {
            byte[] key = Results.key(
                    context.window().getStart(), Results.group(group.f0, group.f1));
            results.collect(Tuple2.of(key, measures.iterator().next().toBytes()));
        }
    }
}
