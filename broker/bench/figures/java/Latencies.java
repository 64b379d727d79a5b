import java.util.concurrent.atomic.AtomicLongArray;

/** Times that something took, counted in steps of less than a hundredth of them; only between begin and end. */
final class Latencies {
    /** Steps of a power of two. */
    private static final int STEPS = 128;
    private static final int STEP_BITS = 7;

    private final AtomicLongArray counts = new AtomicLongArray(STEPS * (Long.SIZE - STEP_BITS));
    private volatile boolean isCounting;

    void begin() {
        isCounting = true;
    }

    void end() {
        isCounting = false;
    }

    void add(long nanos) {
        if (isCounting) counts.incrementAndGet(stepOf(Math.max(nanos, 0)));
    }

    /** What this share of them did not exceed. */
    double micros(double share) {
        long all = 0;
        for (int step = 0; step < counts.length(); step++) all += counts.get(step);
        if (all == 0) throw new IllegalStateException("nothing was measured");
        long left = (long) Math.ceil(all * share);
        for (int step = 0; step < counts.length(); step++) {
            left -= counts.get(step);
            if (left <= 0) return endOf(step) / 1000.0;
        }
        throw new AssertionError();
    }

    private static int stepOf(long nanos) {
        int shift = Math.max(Long.SIZE - Long.numberOfLeadingZeros(nanos) - STEP_BITS - 1, 0);
        return shift * STEPS + (int) (nanos >>> shift);
    }

    /** Above all times of a step. */
    private static long endOf(int step) {
        int shift = Math.max(step / STEPS - 1, 0);
        return (step - (long) shift * STEPS + 1) << shift;
    }
}
