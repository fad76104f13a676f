package inferwatch.bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificDatumWriter;

/** Encodes what is counted of a request; for one thread. */
public final class RequestWriter {
    private final SpecificDatumWriter<CountedRequest> writer =
            new SpecificDatumWriter<>(CountedRequest.getClassSchema());
    private final ByteArrayOutputStream body = new ByteArrayOutputStream();
    private BinaryEncoder encoder;

    public byte[] write(CountedRequest request) {
        body.reset();
        encoder = EncoderFactory.get().directBinaryEncoder(body, encoder);
        try {
            writer.write(request, encoder);
            encoder.flush();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return body.toByteArray();
    }
}
