// What the peers need of Debian.
import type { TreeRequest } from './debian-tree.ts';

const LIBRARIES = ['usr/lib/', 'usr/lib64/'];
const NO_DATA = ['usr/lib/*/gconv/', 'usr/lib/*/perl*', 'usr/lib/systemd/', 'usr/lib/*/dri/', 'usr/lib/*/libLLVM*'];

/** ONNX Runtime with its C and C++ headers, the C library and the loader. */
export function ortTree(arch: string): TreeRequest {
  return {
    name: `onnxruntime-${arch}`,
    arch,
    packages: ['libonnxruntime-dev', 'libc6', 'libstdc++6', 'libgcc-s1'],
    keep: [...LIBRARIES, 'usr/include/onnxruntime/'],
    drop: NO_DATA,
  };
}

/** What users write their scripts for: Python with OpenCV, NumPy and ONNX Runtime. */
export const pythonTree: TreeRequest = {
  name: 'python-amd64',
  arch: 'amd64',
  packages: ['python3', 'python3-opencv', 'python3-onnxruntime', 'python3-numpy', 'libblas3', 'liblapack3'],
  skip: [
    'mailcap',
    'media-types',
    'fonts-dejavu-core',
    'fonts-dejavu-mono',
    'adwaita-icon-theme',
    'hicolor-icon-theme',
    'dconf-gsettings-backend',
    'gsettings-desktop-schemas',
    'mesa-libgallium',
    'libgl1-mesa-dri',
    'libllvm19',
    'iso-codes',
    'proj-data',
    'gdal-data',
    'sphinx-rtd-theme-common',
    'systemd',
    'udev',
  ],
  keep: [...LIBRARIES, 'usr/bin/python3*'],
  drop: NO_DATA,
};

/** qemu that loads plugins: the last one of Debian that is not static. */
export const emulatorTree: TreeRequest = {
  name: 'qemu-amd64',
  arch: 'amd64',
  suite: 'bookworm',
  packages: ['qemu-user', 'libc6'],
  skip: ['qemu-user-binfmt', 'binfmt-support'],
  keep: [...LIBRARIES, 'usr/bin/qemu-arm', 'usr/bin/qemu-aarch64', 'usr/include/'],
  drop: NO_DATA,
};
