import { describe, expect, test } from 'vitest';
import { changeCommands, type DeviceFacts, deviceForm, mergeFacts, readDeviceForm } from './device-edit.ts';

const HALL = { latitude: 52.52, longitude: 13.405, altitude: 34, place: 'hall 3' };
const BASE: DeviceFacts = { spec: { notes: 'new camera', location: HALL }, labels: { site: 'lab', line: '4' } };
const form = deviceForm(BASE);

describe('readDeviceForm', () => {
  test('gives back what the form was made of, also what it does not ask about', () => {
    expect(readDeviceForm(form, BASE)).toEqual({ ok: true, facts: BASE });
    const bare = { ...form, notes: '', place: '', latitude: '', longitude: ' ', labels: [{ key: '', value: '' }] };
    expect(readDeviceForm(bare, BASE)).toEqual({ ok: true, facts: { spec: {}, labels: {} } });
  });

  test('names the fields that the contract refuses', () => {
    const read = readDeviceForm({ ...form, latitude: '91', longitude: 'east', place: 'x'.repeat(257) }, BASE);
    expect(read.ok || Object.keys(read.faults).toSorted()).toEqual(['latitude', 'longitude', 'place']);
    const half = readDeviceForm({ ...form, longitude: '' }, BASE);
    expect(half.ok || Object.keys(half.faults)).toEqual(['longitude']);
    const nowhere = readDeviceForm({ ...form, latitude: '', longitude: '' }, BASE);
    expect(nowhere.ok || Object.keys(nowhere.faults)).toEqual(['place']);
  });

  test('names the rows whose label is none, or is there twice', () => {
    const labels = ['site=lab', '=lab', 'ro le=x', 'line=a b', 'site=x', '='].map((text) => {
      const [key = '', value = ''] = text.split('=');
      return { key, value };
    });
    const read = readDeviceForm({ ...form, labels }, BASE);
    expect(read.ok || read.labelFaults.map((fault) => fault?.split(':')[0])).toEqual([
      undefined,
      'Not a label key',
      'Not a label key',
      'Not a label value',
      'This key is there already',
      undefined,
    ]);
  });
});

describe('mergeFacts', () => {
  const mine: DeviceFacts = { spec: { notes: 'lens cleaned', location: HALL }, labels: { site: 'plant', role: 'camera' } };

  test('keeps what others have changed and I have not', () => {
    const now: DeviceFacts = { spec: { description: 'Gate', notes: 'new camera' }, labels: { site: 'lab', line: '4', shift: 'night' } };
    expect(mergeFacts(BASE, mine, now)).toEqual({
      facts: { spec: { description: 'Gate', notes: 'lens cleaned' }, labels: { site: 'plant', role: 'camera', shift: 'night' } },
      clashes: [],
    });
  });

  test('names what both have changed in different ways, and nothing that both have made alike', () => {
    const now: DeviceFacts = { spec: { notes: 'broken', location: { ...HALL } }, labels: { site: 'plant', line: '5' } };
    expect(mergeFacts(BASE, mine, now).clashes).toEqual(['notes', 'label line']);
    expect(mergeFacts(BASE, BASE, now)).toEqual({ facts: now, clashes: [] });
  });
});

describe('changeCommands', () => {
  test('are none without a change', () => expect(changeCommands('edge-1', BASE, BASE)).toEqual([]));

  test('say each change once, quoted for a shell', () => {
    const after: DeviceFacts = {
      spec: { notes: "it's new", description: 'Gate', location: { ...HALL, place: 'hall 4' } },
      labels: { site: 'plant' },
    };
    expect(changeCommands('edge-1', BASE, after)).toEqual([
      String.raw`selvedge device set edge-1 --description Gate --place 'hall 4' --notes 'it'\''s new'`,
      'selvedge device label edge-1 site=plant line-',
    ]);
    expect(changeCommands('edge-1', BASE, { spec: { notes: 'new camera' }, labels: BASE.labels })).toEqual([
      'selvedge device set edge-1 --location none',
    ]);
  });
});
