package inferwatch.bench;

import java.util.Map;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;

/** Requests for Flink, which passes them between tasks as a POJO, cheaper than as Avro. */
final class RequestSchema extends AbstractDeserializationSchema<CountedRequest> {
    private static final long serialVersionUID = 1;

    private transient RequestReader reader;

    RequestSchema() {
        super(type());
    }

    /** Field by field: Flink takes what Avro generated for Avro, and asks for another library. */
    private static TypeInformation<CountedRequest> type() {
        return Types.POJO(CountedRequest.class, Map.ofEntries(
                Map.entry("event_time", Types.LONG),
                Map.entry("service_name", Types.STRING),
                Map.entry("gen_ai_request_model", Types.STRING),
                Map.entry("error_type", Types.STRING),
                Map.entry("duration_seconds", Types.DOUBLE),
                Map.entry("time_to_first_token_seconds", Types.DOUBLE),
                Map.entry("gen_ai_usage_input_tokens", Types.LONG),
                Map.entry("gen_ai_usage_output_tokens", Types.LONG),
                Map.entry("gen_ai_usage_cache_read_input_tokens", Types.LONG),
                Map.entry("gen_ai_usage_reasoning_output_tokens", Types.LONG),
                Map.entry("cost_usd_micros", Types.LONG)));
    }

    @Override
    public void open(InitializationContext context) {
        reader = RequestReader.ofEvents();
    }

    @Override
    public CountedRequest deserialize(byte[] value) {
        return reader.read(value);
    }
}
