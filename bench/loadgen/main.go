// loadgen closed COUNT CONNECTIONS ADDRESS PREFIX | loadgen open RATE SECONDS ADDRESS PREFIX
//
// Posts orders and prints one line for each: its id, the id of its trace, when it was due (ns since the epoch), how long
// its answer took from then on (ns), and the status, 0 if there was none. In the open loop an order is due at its time,
// whatever became of those before it; in the closed loop when a connection is free. HTTP is spoken by hand: net/http
// takes a minute to compile and more CPU than some of the servers.
package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	patience = 60 * time.Second
	// Servers close an idle connection after 2 s or more: an order must not meet that moment.
	keptFor = time.Second
)

const order = `{"customer": {"email": "%s@example.com"}, "currency": "EUR", ` +
	`"items": [{"sku": "TEA", "quantity": 1, "unit_price": "9.90"}]}`

type answer struct {
	id, trace string
	due       time.Time
	took      time.Duration
	status    int
}

type client struct {
	address string
	free    chan *connection
}

type connection struct {
	net.Conn
	reader *bufio.Reader
	used   time.Time
}

func (c *client) get() (*connection, error) {
	for {
		select {
		case kept := <-c.free:
			if time.Since(kept.used) < keptFor {
				return kept, nil
			}
			kept.Close()
			continue
		default:
		}
		break
	}
	opened, err := net.DialTimeout("tcp", c.address, patience)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: opened, reader: bufio.NewReader(opened)}, nil
}

// post sends one order and reads the whole answer; a connection that failed, or is to be closed, is not kept.
func (c *client) post(id, trace string) int {
	conn, err := c.get()
	if err != nil {
		return 0
	}
	body := fmt.Sprintf(order, id)
	conn.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprintf(conn, "POST /orders HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"+
		"traceparent: 00-%s-%s-01\r\nContent-Length: %d\r\n\r\n%s", c.address, trace, trace[:16], len(body), body)
	status, keep := 0, false
	if err == nil {
		status, keep, err = read(conn.reader)
	}
	if err != nil || !keep {
		conn.Close()
		return status
	}
	conn.used = time.Now()
	select {
	case c.free <- conn:
	default:
		conn.Close()
	}
	return status
}

func read(reader *bufio.Reader) (status int, keep bool, err error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return 0, false, err
	}
	if fields := strings.Fields(line); len(fields) > 1 {
		status, _ = strconv.Atoi(fields[1])
	}
	length, keep := int64(-1), true
	for {
		if line, err = reader.ReadString('\n'); err != nil {
			return status, false, err
		}
		name, value, more := strings.Cut(strings.TrimSpace(line), ":")
		if !more {
			break
		}
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "content-length":
			length, _ = strconv.ParseInt(value, 10, 64)
		case "connection":
			keep = !strings.EqualFold(value, "close")
		}
	}
	if length < 0 {
		return 0, false, fmt.Errorf("an answer without Content-Length")
	}
	_, err = io.CopyN(io.Discard, reader, length)
	return status, keep, err
}

func main() {
	mode, prefix := os.Args[1], os.Args[5]
	first, _ := strconv.Atoi(os.Args[2])
	second, _ := strconv.Atoi(os.Args[3])
	count, workers := first, second
	if mode == "open" {
		count, workers = first*second, 1024
	}
	c := &client{os.Args[4], make(chan *connection, workers)}
	answers, clock := make([]answer, count), time.Now()
	next := make(chan int, count)
	var running sync.WaitGroup
	for range workers {
		running.Add(1)
		go func() {
			defer running.Done()
			for i := range next {
				a := &answers[i]
				a.id = fmt.Sprintf("%s-%06d", prefix, i)
				a.trace = fmt.Sprintf("%016x%016x", rand.Uint64()|1, rand.Uint64())
				if a.due.IsZero() {
					a.due = time.Now()
				}
				a.status = c.post(a.id, a.trace)
				a.took = time.Since(a.due)
			}
		}()
	}
	begin := time.Now().Add(50 * time.Millisecond)
	for i := range count {
		if mode == "open" {
			answers[i].due = begin.Add(time.Duration(i) * time.Second / time.Duration(first))
			time.Sleep(time.Until(answers[i].due))
		}
		next <- i
	}
	close(next)
	running.Wait()
	out := bufio.NewWriter(os.Stdout)
	for _, a := range answers {
		due := clock.UnixNano() + int64(a.due.Sub(clock))
		fmt.Fprintln(out, a.id, a.trace, due, int64(a.took), a.status)
	}
	out.Flush()
}
