export { generateXnnpack } from './generate-xnnpack.ts';
