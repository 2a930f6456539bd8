import { nativeManifestSchema } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type Component, licenceNames, packageOfLibrary } from './debian-components.ts';
import { makeProvenance } from './make-provenance.ts';
import { makeSbom } from './make-sbom.ts';

const SHA = 'a'.repeat(64);
const zlib: Component = {
  name: 'zlib1g-dev',
  version: '1:1.3',
  sha256: SHA,
  purl: 'pkg:deb/debian/zlib1g-dev@1%3A1.3',
  source: 'zlib',
  licences: ['Zlib'],
  licenceText: 'text',
};

describe('packageOfLibrary', () => {
  const packages = ['libc6', 'zlib1g', 'libre2-11', 'libprotobuf32t64', 'libabsl20240722', 'libxnnpack0.20241108', 'libstdc++6'];
  it.each([
    ['libm.so.6', 'libc6'],
    ['ld-linux-armhf.so.3', 'libc6'],
    ['libz.so.1', 'zlib1g'],
    ['libre2.so.11', 'libre2-11'],
    ['libprotobuf.so.32', 'libprotobuf32t64'],
    ['libabsl_base.so.20240722', 'libabsl20240722'],
    ['libXNNPACK.so.0.20241108', 'libxnnpack0.20241108'],
    ['libstdc++.so.6', 'libstdc++6'],
    ['libother.so.1', undefined],
  ])('of %s is %s', (file, owner) => {
    expect(packageOfLibrary(file, packages)).toBe(owner);
  });
});

describe('licenceNames', () => {
  it('reads machine-readable files only', () => {
    const header = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n';
    expect(licenceNames(`${header}\nLicense: Zlib\n text\nLicense: BSD-3-clause\nLicense: Zlib\n`)).toEqual(['BSD-3-clause', 'Zlib']);
    expect(licenceNames('License: GPL, says a text for people')).toEqual([]);
  });
});

describe('makeSbom', () => {
  const subject = { model: 'digits', version: '1', target: 'linux-armv7', modelSha256: SHA };

  it('lists the model and the libraries, in CycloneDX 1.6', () => {
    const bom = z
      .looseObject({ specVersion: z.string(), components: z.array(z.looseObject({ name: z.string(), type: z.string() })) })
      .parse(JSON.parse(makeSbom(subject, [zlib])));
    expect(bom.specVersion).toBe('1.6');
    expect(bom.components.map(({ name, type }) => [name, type])).toEqual([
      ['digits', 'machine-learning-model'],
      ['zlib1g-dev', 'library'],
    ]);
  });

  it('gives the same bytes for the same contents, and another serial number for others', () => {
    expect(makeSbom(subject, [zlib])).toBe(makeSbom(subject, [zlib]));
    const serial = (text: string) => z.looseObject({ serialNumber: z.string() }).parse(JSON.parse(text)).serialNumber;
    expect(serial(makeSbom(subject, [{ ...zlib, version: '2' }]))).not.toBe(serial(makeSbom(subject, [zlib])));
    expect(serial(makeSbom(subject, []))).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

it('names every input in the provenance, sources of the user by digest only', () => {
  const provenance = makeProvenance({
    model: 'digits',
    version: '1',
    target: 'linux-armv7',
    modelSha256: SHA,
    build: { sources: [{ path: 'a.cc', text: 'int a;' }] },
    chosen: { engine: 'xnnpack', precision: 'fp32' },
    manifestSha256: SHA,
    toolchainSha256: SHA,
    compiler: '19',
    runtimeSources: new Map([['base/status.h', SHA]]),
    samplesSha256: undefined,
  });
  const { resolvedDependencies, externalParameters } = provenance.predicate.buildDefinition;
  expect(resolvedDependencies.map(({ uri }) => uri)).toEqual([
    'selvedge:model/digits/1',
    'selvedge:target/linux-armv7/lock.json',
    'selvedge:native/runtime/base/status.h',
    'selvedge:build.sources/a.cc',
  ]);
  expect(JSON.stringify(externalParameters)).not.toContain('int a;');
});

it('accepts the name of the C++ library as a path of the package', () => {
  const path = nativeManifestSchema.shape.entrypoint;
  expect(path.safeParse('lib/libstdc++.so.6').success).toBe(true);
  expect(path.safeParse('../lib').success).toBe(false);
});
