export { besideOf, type FolderPlace, isTransferName, replaceFolder, settlePlace } from './folder-place.ts';
export { describeFolder, holdsFolder, measureFolder, packFolder } from './pack-folder.ts';
export { unpackFolder } from './unpack-folder.ts';
