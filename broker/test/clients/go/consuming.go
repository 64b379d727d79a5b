package main

import (
	"context"
	"fmt"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

var places = map[string]consumer.ConsumeFromWhere{
	"": consumer.ConsumeFromFirstOffset, "FIRST_OFFSET": consumer.ConsumeFromFirstOffset,
	"LAST_OFFSET": consumer.ConsumeFromLastOffset, "TIMESTAMP": consumer.ConsumeFromTimestamp,
}

// consuming prints what comes; messages of some tags fail so many times.
type consuming struct {
	consumer rocketmq.PushConsumer
	request
}

func newConsuming(o request) (part, error) {
	options := []consumer.Option{
		consumer.WithGroupName(o.Group), consumer.WithInstance(o.Name), consumer.WithNameServer(nameServer),
		consumer.WithConsumeFromWhere(places[o.From]), consumer.WithConsumerOrder(o.Orderly),
	}
	if o.Broadcasting {
		options = append(options, consumer.WithConsumerModel(consumer.BroadCasting))
	}
	if o.MaxReconsumeTimes != nil {
		options = append(options, consumer.WithMaxReconsumeTimes(*o.MaxReconsumeTimes))
	}
	if o.SuspendMs > 0 {
		options = append(options, consumer.WithSuspendCurrentQueueTimeMillis(time.Duration(o.SuspendMs)*time.Millisecond))
	}
	if o.Timestamp != "" {
		options = append(options, consumer.WithConsumeTimestamp(o.Timestamp))
	}
	if o.Batch > 0 {
		options = append(options, consumer.WithConsumeMessageBatchMaxSize(o.Batch))
	}
	push, err := rocketmq.NewPushConsumer(options...)
	if err != nil {
		return nil, err
	}
	c := consuming{push, o}
	for _, s := range o.Subscriptions {
		if s.Expression == "" {
			s.Expression = "*"
		}
		if err := push.Subscribe(s.Topic, consumer.MessageSelector{Type: consumer.TAG, Expression: s.Expression}, c.take); err != nil {
			return nil, err
		}
	}
	return c, push.Start()
}

func (c consuming) take(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	good := true
	for _, m := range messages {
		if int(m.ReconsumeTimes) < c.Fail[m.GetTags()] {
			good = false
		}
	}
	for _, m := range messages {
		show(object{"kind": "message", "consumer": c.Name, "good": good, "of": len(messages), "at": time.Now().UnixMilli(), "message": received(m)})
	}
	if c.WorkMs > 0 {
		time.Sleep(time.Duration(c.WorkMs) * time.Millisecond)
	}
	if good {
		return consumer.ConsumeSuccess, nil
	}
	if c.Orderly {
		return consumer.SuspendCurrentQueueAMoment, nil
	}
	if concurrently, ok := primitive.GetConcurrentlyCtx(ctx); ok {
		concurrently.DelayLevelWhenNextConsume = c.DelayLevel
	}
	return consumer.ConsumeRetryLater, nil
}

func (c consuming) act(what string, _ request) (object, error) {
	return nil, fmt.Errorf("a push consumer cannot %s", what)
}

func (c consuming) stop() error {
	return c.consumer.Shutdown()
}
