// Express in front and one producer; with PER_REQUEST a producer that is connected for each request, as in the tutorials.
const { randomUUID } = require('crypto');
const express = require('express');
const { Kafka, logLevel, Partitioners } = require('kafkajs');

const kafka = new Kafka({ clientId: 'orders', brokers: [process.env.KAFKA], logLevel: logLevel.ERROR });
const makeProducer = () => kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
const shared = makeProducer();
const app = express();
app.use(express.json());

app.get('/readyz', (request, response) => response.send('ready'));

app.post('/orders', async (request, response) => {
  const order = { order_id: randomUUID(), ...request.body };
  const producer = process.env.PER_REQUEST ? makeProducer() : shared;
  if (process.env.PER_REQUEST) await producer.connect();
  await producer.send({ topic: 'orders', acks: -1, messages: [{ key: order.order_id, value: JSON.stringify(order) }] });
  if (process.env.PER_REQUEST) await producer.disconnect();
  response.status(202).json(order);
});

shared.connect().then(() => app.listen(Number(process.env.PORT), '127.0.0.1'));

process.on('SIGTERM', async () => {
  await shared.disconnect().catch(() => {});
  setTimeout(() => process.exit(0), 1500); // the last spans
});
