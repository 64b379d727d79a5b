import java.util.concurrent.atomic.LongAdder;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A push consumer of all queues, from their beginnings on. */
final class Consuming {
    private static final int BATCH = 32;
    private static final long QUEUES_MS = 60_000;
    /** Without any progress for so long, what has not come is lost. */
    private static final long PATIENCE_MS = 15_000;

    final Latencies latencies = new Latencies();
    private final LongAdder consumed = new LongAdder();
    private final Messages messages;
    private final DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("figures-consumers");

    Consuming(String nameServer, Messages messages) throws Exception {
        this.messages = messages;
        consumer.setNamesrvAddr(nameServer);
        consumer.setVipChannelEnabled(false);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(Load.TOPIC, "*");
        consumer.setPullBatchSize(BATCH);
        consumer.setConsumeMessageBatchMaxSize(BATCH);
        consumer.registerMessageListener((MessageListenerConcurrently) (batch, context) -> {
            for (MessageExt message : batch) {
                long at = messages.consume(message.getBody());
                if (at >= 0) latencies.add(System.nanoTime() - at);
            }
            consumed.add(batch.size());
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    /** Until it has been given all queues. */
    @SuppressWarnings("deprecation")
    void awaitQueues() throws Exception {
        long until = System.currentTimeMillis() + QUEUES_MS;
        while (true) {
            int queues = 0;
            for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
                if (queue.getTopic().equals(Load.TOPIC)) queues++;
            }
            if (queues == Load.QUEUES) return;
            if (System.currentTimeMillis() > until) throw new IllegalStateException("the consumer has " + queues + " queues");
            Thread.sleep(20);
        }
    }

    long consumed() {
        return consumed.sum();
    }

    /** Until everything that was acknowledged is there, or nothing comes any more. */
    void awaitAll() throws InterruptedException {
        long known = -1;
        long since = System.currentTimeMillis();
        while (messages.notConsumed() > 0) {
            if (consumed() != known) {
                known = consumed();
                since = System.currentTimeMillis();
            } else if (System.currentTimeMillis() - since > PATIENCE_MS) {
                return;
            }
            Thread.sleep(50);
        }
    }

    void stop() {
        consumer.shutdown();
    }
}
