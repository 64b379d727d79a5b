package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// pulling reads a queue from an offset on, or is polled for whatever has come.
type pulling struct {
	consumer rocketmq.PullConsumer
}

func newPulling(o request) (part, error) {
	options := []consumer.Option{
		consumer.WithGroupName(o.Group), consumer.WithInstance(o.Name), consumer.WithNameServer(nameServer),
		consumer.WithConsumeFromWhere(places[o.From]),
	}
	// Unless told otherwise, a message that this consumer gives back is a dead letter at once.
	if o.MaxReconsumeTimes != nil {
		options = append(options, consumer.WithMaxReconsumeTimes(*o.MaxReconsumeTimes))
	}
	pull, err := rocketmq.NewPullConsumer(options...)
	if err != nil {
		return nil, err
	}
	// Of several subscriptions this client keeps the last one.
	expression := o.Expression
	if expression == "" {
		expression = "*"
	}
	if err := pull.Subscribe(o.Topic, consumer.MessageSelector{Type: consumer.TAG, Expression: expression}); err != nil {
		return nil, err
	}
	return pulling{pull}, pull.Start()
}

func (p pulling) act(what string, o request) (object, error) {
	switch what {
	case "pull":
		return p.pull(o)
	case "poll":
		return p.poll(o)
	}
	return nil, fmt.Errorf("a pull consumer cannot %s", what)
}

var pullStatuses = []string{"FOUND", "NO_NEW_MSG", "NO_MATCHED_MSG", "OFFSET_ILLEGAL", "BROKER_TIMEOUT"}

func (p pulling) pull(o request) (object, error) {
	most := o.Max
	if most == 0 {
		most = 32
	}
	r, err := p.consumer.PullFrom(context.Background(), o.queue.message(), o.Offset, most)
	if err != nil {
		return nil, err
	}
	return object{
		"status": pullStatuses[r.Status], "nextBeginOffset": r.NextBeginOffset, "minOffset": r.MinOffset, "maxOffset": r.MaxOffset,
		"messages": all(r.GetMessageExts()),
	}, nil
}

// poll takes what has come of one queue. Messages of some tags fail so many times, the others are acknowledged.
func (p pulling) poll(o request) (object, error) {
	came, err := p.consumer.Poll(context.Background(), time.Duration(o.TimeoutMs)*time.Millisecond)
	if errors.Is(err, consumer.ErrNoNewMsg) {
		return object{"messages": []object{}}, nil
	}
	if err != nil {
		return nil, err
	}
	messages := all(came.GetMsgList())
	result := consumer.ConsumeSuccess
	for _, m := range came.GetMsgList() {
		if int(m.ReconsumeTimes) < o.Fail[m.GetTags()] {
			result = consumer.ConsumeRetryLater
		}
	}
	p.consumer.ACK(context.Background(), came, result)
	return object{"messages": messages}, nil
}

func all(list []*primitive.MessageExt) []object {
	messages := []object{}
	for _, m := range list {
		messages = append(messages, received(m))
	}
	return messages
}

func (p pulling) stop() error {
	return p.consumer.Shutdown()
}
