BEGIN TRANSACTION;
CREATE TABLE inbox (
	consumer VARCHAR(255) NOT NULL, 
	event_id VARCHAR(255) NOT NULL, 
	handled_at DATETIME NOT NULL, 
	PRIMARY KEY (consumer, event_id)
);
INSERT INTO "inbox" VALUES('notifier','/billing f194340f-0719-4fe8-b118-07b1e1befead','2026-11-29 03:26:10.909311');
INSERT INTO "inbox" VALUES('notifier','/billing 4ba909c3-ba9f-40db-8e5d-950bd18db1b0','2026-11-29 03:26:10.915666');
CREATE TABLE mails (
	id INTEGER NOT NULL, 
	message_id VARCHAR(255) NOT NULL, 
	order_id VARCHAR(64) NOT NULL, 
	sent_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "mails" VALUES(1,'<53313a6f-ca12-4e46-926f-38fa8ab751e3.invoice@shop.example>','53313a6f-ca12-4e46-926f-38fa8ab751e3','2026-11-29 03:26:10.909845');
INSERT INTO "mails" VALUES(2,'<ac31f163-2ade-4933-a98a-0075ee6728ef.invoice@shop.example>','ac31f163-2ade-4933-a98a-0075ee6728ef','2026-11-29 03:26:10.915899');
CREATE TABLE outbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	event_id VARCHAR(64) NOT NULL, 
	topic VARCHAR(249) NOT NULL, 
	"key" BLOB NOT NULL, 
	value BLOB NOT NULL, 
	headers TEXT NOT NULL, 
	trace_context TEXT NOT NULL, 
	parked_because TEXT, 
	UNIQUE (event_id)
);
CREATE TABLE unfinished (
	consumer VARCHAR(255) NOT NULL, 
	record VARCHAR(300) NOT NULL, 
	deliveries INTEGER NOT NULL, 
	since DATETIME NOT NULL, 
	PRIMARY KEY (consumer, record)
);
CREATE TABLE waiting (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	consumer VARCHAR(255) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	message VARCHAR(255) NOT NULL, 
	since DATETIME NOT NULL, 
	UNIQUE (consumer, message)
);
CREATE INDEX ix_unfinished_since ON unfinished (since);
CREATE INDEX ix_waiting_consumer_key ON waiting (consumer, "key");
CREATE INDEX ix_waiting_since ON waiting (since);
CREATE INDEX ix_inbox_handled_at ON inbox (handled_at);
CREATE INDEX ix_mails_sent_at ON mails (sent_at);
CREATE INDEX ix_mails_order_id ON mails (order_id);
DELETE FROM "sqlite_sequence";
COMMIT;
