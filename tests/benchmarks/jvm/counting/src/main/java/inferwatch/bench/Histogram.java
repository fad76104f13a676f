package inferwatch.bench;

import java.nio.ByteBuffer;
import java.util.Arrays;

/** Exponential histogram of 32 bins an octave, bounds above included; zeros apart; public for Flink. */
public final class Histogram {
    private static final int BINS_AN_OCTAVE = 32;
    private static final double LOG_2 = Math.log(2);
    private static final int MANTISSA_BITS = 52;
    private static final long MANTISSA = (1L << MANTISSA_BITS) - 1;
    private static final int GROWTH = 32;

    public int zeros;
    /** Bin of the first count. */
    public int first;
    public int[] counts = {};

    void add(double value) {
        if (value == 0) {
            zeros++;
            return;
        }
        int bin = binOf(value);
        if (counts.length == 0) {
            first = bin - GROWTH;
            counts = new int[2 * GROWTH];
        } else if (bin < first) {
            int more = first - bin + GROWTH;
            int[] grown = new int[counts.length + more];
            System.arraycopy(counts, 0, grown, more, counts.length);
            first -= more;
            counts = grown;
        } else if (bin - first >= counts.length) {
            counts = Arrays.copyOf(counts, bin - first + GROWTH);
        }
        counts[bin - first]++;
    }

    private static int binOf(double value) {
        // Powers of two are bounds, and a quotient of logarithms need not hit them.
        if ((Double.doubleToRawLongBits(value) & MANTISSA) == 0) {
            return Math.getExponent(value) * BINS_AN_OCTAVE - 1;
        }
        return (int) Math.ceil(Math.log(value) / LOG_2 * BINS_AN_OCTAVE) - 1;
    }

    void merge(Histogram other) {
        zeros += other.zeros;
        if (other.counts.length == 0) {
            return;
        }
        if (counts.length == 0) {
            first = other.first;
            counts = other.counts.clone();
            return;
        }
        int low = Math.min(first, other.first);
        int high = Math.max(first + counts.length, other.first + other.counts.length);
        int[] merged = new int[high - low];
        System.arraycopy(counts, 0, merged, first - low, counts.length);
        for (int index = 0; index < other.counts.length; index++) {
            merged[other.first - low + index] += other.counts[index];
        }
        first = low;
        counts = merged;
    }

    int size() {
        return Integer.BYTES * (3 + counts.length);
    }

    void write(ByteBuffer into) {
        into.putInt(zeros).putInt(first).putInt(counts.length);
        into.asIntBuffer().put(counts);
        into.position(into.position() + Integer.BYTES * counts.length);
    }

    static Histogram read(ByteBuffer from) {
        Histogram read = new Histogram();
        read.zeros = from.getInt();
        read.first = from.getInt();
        read.counts = new int[from.getInt()];
        from.asIntBuffer().get(read.counts);
        from.position(from.position() + Integer.BYTES * read.counts.length);
        return read;
    }
}
