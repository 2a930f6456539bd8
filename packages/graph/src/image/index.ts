export { decodeImage, IMAGE_EXTENSIONS, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS } from './decode-image.ts';
