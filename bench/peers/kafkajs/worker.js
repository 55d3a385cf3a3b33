// `worker.js billing` or `worker.js notifier`; offsets are committed as kafkajs does by default, after each fetched batch.
const fs = require('fs');
const { Kafka, logLevel, Partitioners } = require('kafkajs');

const role = process.argv[2];
const kafka = new Kafka({ clientId: role, brokers: [process.env.KAFKA], logLevel: logLevel.ERROR });
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
const consumer = kafka.consumer({ groupId: process.env.GROUP });
const done = fs.openSync(process.env.DONE, 'a');
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000); // microseconds

async function handle({ message }) {
  const content = JSON.parse(message.value);
  if (role === 'billing') {
    const invoice = { order_id: content.order_id, customer: content.customer, total: '9.90' };
    await producer.send({ topic: 'invoices', acks: -1, messages: [{ key: message.key, value: JSON.stringify(invoice) }] });
  } else {
    fs.writeSync(done, `${content.customer.email.split('@')[0]} ${now()}000\n`);
  }
}

(async () => {
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topic: role === 'billing' ? 'orders' : 'invoices', fromBeginning: true });
  consumer.on(consumer.events.GROUP_JOIN, () => fs.writeFileSync(process.env.READY, ''));
  await consumer.run({ eachMessage: handle });
})();

process.on('SIGTERM', async () => {
  await consumer.disconnect().catch(() => {});
  await producer.disconnect().catch(() => {});
  setTimeout(() => process.exit(0), 1500); // the last spans
});
