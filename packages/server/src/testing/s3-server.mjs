// A server that speaks S3, for tests: keeps its buckets in the folder given, prints its address on stdout, ends with its stdin.
import S3rver from 's3rver';

const [directory] = process.argv.slice(2);
const server = new S3rver({
  address: '127.0.0.1',
  port: 0,
  directory,
  silent: true,
  resetOnClose: false,
  configureBuckets: [{ name: 'data' }],
});
const { port } = await server.run();
process.stdout.write(`http://127.0.0.1:${port}\n`);
process.stdin.resume().once('end', () => process.exit());
