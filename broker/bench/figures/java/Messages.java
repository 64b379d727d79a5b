import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.apache.rocketmq.common.message.Message;

/**
 * The messages of a run by their number: what is sent, what was acknowledged and what was consumed. A body has its number, the time at
 * which it was made, and random bytes, the same in every one.
 */
final class Messages {
    private static final int BODY_BYTES = 1024;
    private static final int HEAD_BYTES = 16;

    private final byte[] pattern = new byte[BODY_BYTES];
    private final AtomicInteger made = new AtomicInteger();
    /** By number, a byte each, as single bytes may be written by any thread. */
    private final byte[] acknowledged;
    private final byte[] consumed;
    private final LongAdder damaged = new LongAdder();

    Messages(int most) {
        new Random(1).nextBytes(pattern);
        acknowledged = new byte[most];
        consumed = new byte[most];
    }

    /** The number of the next message. */
    int next() {
        int number = made.getAndIncrement();
        if (number >= acknowledged.length) throw new IllegalStateException("more than " + acknowledged.length + " messages");
        return number;
    }

    Message make(int number) {
        byte[] body = pattern.clone();
        ByteBuffer.wrap(body).putLong(number).putLong(System.nanoTime());
        return new Message(Load.TOPIC, "TagA", "key" + number, body);
    }

    void acknowledge(int number) {
        acknowledged[number] = 1;
    }

    /** Takes a body that came back, and answers with when it was made; -1 for one that is none of these. */
    long consume(byte[] body) {
        if (!isWhole(body)) {
            damaged.increment();
            return -1;
        }
        ByteBuffer head = ByteBuffer.wrap(body);
        int number = (int) head.getLong();
        if (consumed[number] < 2) consumed[number]++;
        return head.getLong();
    }

    boolean isWhole(byte[] body) {
        if (body.length != BODY_BYTES || !Arrays.equals(body, HEAD_BYTES, BODY_BYTES, pattern, HEAD_BYTES, BODY_BYTES)) return false;
        long number = ByteBuffer.wrap(body).getLong();
        return number >= 0 && number < made.get();
    }

    boolean isWhole(byte[] body, int number) {
        return isWhole(body) && ByteBuffer.wrap(body).getLong() == number;
    }

    int acknowledged() {
        return count((sent, got) -> sent > 0);
    }

    int notConsumed() {
        return count((sent, got) -> sent > 0 && got == 0);
    }

    int repeated() {
        return count((sent, got) -> got > 1);
    }

    int damaged() {
        return damaged.intValue();
    }

    private interface Condition {
        boolean holds(byte acknowledged, byte consumed);
    }

    private int count(Condition condition) {
        int count = 0;
        int end = Math.min(made.get(), acknowledged.length);
        for (int number = 0; number < end; number++) if (condition.holds(acknowledged[number], consumed[number])) count++;
        return count;
    }
}
