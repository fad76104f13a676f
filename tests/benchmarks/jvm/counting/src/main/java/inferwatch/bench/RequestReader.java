package inferwatch.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import org.apache.avro.Schema;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.specific.SpecificDatumReader;

/** Decodes requests, of which it reads what is counted; for one thread. */
public final class RequestReader {
    /** Confluent's magic byte and schema id. */
    private static final int WIRE_PREFIX_BYTES = 5;

    private final int prefixBytes;
    private final SpecificDatumReader<CountedRequest> reader;
    private BinaryDecoder decoder;

    private RequestReader(int prefixBytes, Schema written) {
        this.prefixBytes = prefixBytes;
        reader = new SpecificDatumReader<>(written, CountedRequest.getClassSchema());
    }

    /** Of the events as services publish them, in Confluent's wire format. */
    public static RequestReader ofEvents() {
        return new RequestReader(WIRE_PREFIX_BYTES, eventSchema());
    }

    /** Of what {@link RequestWriter} wrote. */
    public static RequestReader ofCounted() {
        return new RequestReader(0, CountedRequest.getClassSchema());
    }

    public CountedRequest read(byte[] value) {
        decoder = DecoderFactory.get()
                .binaryDecoder(value, prefixBytes, value.length - prefixBytes, decoder);
        try {
            return reader.read(null, decoder);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static Schema eventSchema() {
        try (InputStream schema = RequestReader.class.getResourceAsStream("/request.avsc")) {
            return new Schema.Parser().parse(schema);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
