CREATE TABLE outbox (
    id BIGSERIAL NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    topic VARCHAR(249) NOT NULL,
    key BYTEA NOT NULL,
    value BYTEA NOT NULL,
    headers TEXT NOT NULL,
    trace_context TEXT NOT NULL,
    parked_because TEXT,
    PRIMARY KEY (id),
    UNIQUE (event_id)
);
CREATE TABLE unfinished (
    consumer VARCHAR(255) NOT NULL,
    record VARCHAR(300) NOT NULL,
    deliveries INTEGER NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (consumer, record)
);
CREATE INDEX ix_unfinished_since ON unfinished (since);
CREATE TABLE waiting (
    id BIGSERIAL NOT NULL,
    consumer VARCHAR(255) NOT NULL,
    key VARCHAR(64) NOT NULL,
    message VARCHAR(255) NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (consumer, message)
);
CREATE INDEX ix_waiting_consumer_key ON waiting (consumer, key);
CREATE INDEX ix_waiting_since ON waiting (since);
CREATE TABLE inbox (
    consumer VARCHAR(255) NOT NULL,
    event_id VARCHAR(255) NOT NULL,
    handled_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX ix_inbox_handled_at ON inbox (handled_at);
CREATE TABLE mails (
    id SERIAL NOT NULL,
    message_id VARCHAR(255) NOT NULL,
    order_id VARCHAR(64) NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_mails_sent_at ON mails (sent_at);
CREATE INDEX ix_mails_order_id ON mails (order_id);
