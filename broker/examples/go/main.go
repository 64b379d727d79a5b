package main

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func main() {
	servers := []string{"127.0.0.1:9876"}
	ctx := context.Background()

	p, err := rocketmq.NewProducer(producer.WithNameServer(servers), producer.WithGroupName("hello-producers"))
	check(err)
	check(p.Start())
	result, err := p.SendSync(ctx, primitive.NewMessage("hello", []byte("Hello from Go")).WithTag("greetings"))
	check(err)
	fmt.Println("sent to queue", result.MessageQueue.QueueId, "at", result.QueueOffset)
	check(p.Shutdown())

	c, err := rocketmq.NewPushConsumer(
		consumer.WithNameServer(servers),
		consumer.WithGroupName("hello-readers"),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	)
	check(err)
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: "greetings"}
	check(c.Subscribe("hello", selector, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			fmt.Println(string(message.Body))
		}
		return consumer.ConsumeSuccess, nil
	}))
	check(c.Start())
	time.Sleep(10 * time.Second)
	check(c.Shutdown())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
