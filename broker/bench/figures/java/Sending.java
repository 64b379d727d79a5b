import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Threads that send: each message when the one before it is answered, or with a bounded number of them outstanding. */
final class Sending {
    private static final int TIMEOUT_MS = 10_000;
    private static final long TOPIC_MS = 60_000;
    /** One of so many messages is looked at in the end, where nobody consumes all of them. */
    private static final int SAMPLED = 4099;

    final Latencies latencies = new Latencies();
    private final DefaultMQProducer producer = new DefaultMQProducer("figures-producers");
    private final Messages messages;
    private final int outstanding;
    private final Semaphore room;
    private final List<Thread> threads = new ArrayList<>();
    private final LongAdder sent = new LongAdder();
    private final Map<String, LongAdder> failures = new ConcurrentHashMap<>();
    private final Map<Integer, SendResult> sample = new ConcurrentHashMap<>();
    private volatile boolean isStopping;

    /** With `outstanding` 0 each thread waits for its answers. */
    Sending(String nameServer, Messages messages, int count, int outstanding) throws MQClientException {
        this.messages = messages;
        this.outstanding = outstanding;
        room = new Semaphore(outstanding);
        producer.setNamesrvAddr(nameServer);
        producer.setVipChannelEnabled(false);
        producer.setCompressMsgBodyOverHowmuch(1 << 20);
        // A failure is counted, not tried again.
        producer.setRetryTimesWhenSendFailed(0);
        producer.setRetryTimesWhenSendAsyncFailed(0);
        producer.start();
        for (int n = 0; n < count; n++) {
            Thread thread = new Thread(outstanding > 0 ? this::sendAsync : this::sendSync, "sender-" + n);
            thread.setDaemon(true);
            threads.add(thread);
        }
    }

    /** The name server may hear of the broker, and of the topic, somewhat later. */
    void makeTopic() throws Exception {
        long until = System.currentTimeMillis() + TOPIC_MS;
        while (true) {
            try {
                producer.createTopic("TBW102", Load.TOPIC, Load.QUEUES, Collections.emptyMap());
                int queues = producer.fetchPublishMessageQueues(Load.TOPIC).size();
                if (queues == Load.QUEUES) return;
                if (System.currentTimeMillis() > until) throw new IllegalStateException("the topic has " + queues + " queues");
            } catch (MQClientException e) {
                if (System.currentTimeMillis() > until) throw e;
            }
            Thread.sleep(100);
        }
    }

    void start() {
        threads.forEach(Thread::start);
    }

    private void sendSync() {
        while (!isStopping) {
            int number = messages.next();
            Message message = messages.make(number);
            long start = System.nanoTime();
            try {
                answered(number, producer.send(message, TIMEOUT_MS), start);
            } catch (Exception e) {
                failed(e);
            }
        }
    }

    private void sendAsync() {
        while (!isStopping) {
            room.acquireUninterruptibly();
            int number = messages.next();
            Message message = messages.make(number);
            long start = System.nanoTime();
            try {
                producer.send(message, new SendCallback() {
                    @Override
                    public void onSuccess(SendResult result) {
                        answered(number, result, start);
                        room.release();
                    }

                    @Override
                    public void onException(Throwable e) {
                        failed(e);
                        room.release();
                    }
                }, TIMEOUT_MS);
            } catch (Exception e) {
                failed(e);
                room.release();
            }
        }
    }

    private void answered(int number, SendResult result, long start) {
        latencies.add(System.nanoTime() - start);
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            count(result.getSendStatus().toString());
            return;
        }
        messages.acknowledge(number);
        sent.increment();
        if (number % SAMPLED == 0) sample.put(number, result);
    }

    private void failed(Throwable e) {
        count(e.getClass().getSimpleName() + ": " + String.valueOf(e.getMessage()).lines().findFirst().orElse("").replaceAll("\\d+", "N"));
    }

    private void count(String failure) {
        failures.computeIfAbsent(failure, text -> new LongAdder()).increment();
    }

    long sent() {
        return sent.sum();
    }

    long failed() {
        return failures.values().stream().mapToLong(LongAdder::sum).sum();
    }

    String failures() {
        return new TreeMap<>(failures).toString();
    }

    /** Until everything that was begun is answered. */
    void stop() throws InterruptedException {
        isStopping = true;
        for (Thread thread : threads) thread.join(2 * TIMEOUT_MS);
        if (outstanding > 0 && !room.tryAcquire(outstanding, 2 * TIMEOUT_MS, TimeUnit.MILLISECONDS)) {
            throw new IllegalStateException("sends are without an answer");
        }
    }

    /** Messages that the broker has, in all queues. */
    @SuppressWarnings("deprecation")
    long stored() throws MQClientException {
        long all = 0;
        for (MessageQueue queue : producer.fetchPublishMessageQueues(Load.TOPIC)) all += producer.maxOffset(queue) - producer.minOffset(queue);
        return all;
    }

    /** Those of a sample that the broker does not show as they were sent, where it said that they are. */
    @SuppressWarnings("deprecation")
    int damagedOfSample() throws Exception {
        int damaged = 0;
        for (Map.Entry<Integer, SendResult> one : sample.entrySet()) {
            SendResult sent = one.getValue();
            MessageExt message = producer.viewMessage(Load.TOPIC, sent.getOffsetMsgId());
            boolean isThere = message.getQueueId() == sent.getMessageQueue().getQueueId() && message.getQueueOffset() == sent.getQueueOffset();
            if (!isThere || !messages.isWhole(message.getBody(), one.getKey())) damaged++;
        }
        return damaged;
    }

    void shutdown() {
        producer.shutdown();
    }
}
