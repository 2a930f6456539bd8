import { describe } from 'vitest';
import { describeDeviceBroker } from '../../ports/device-broker.contract.ts';
import { startEmbedded, startMosquitto } from '../../testing/broker-harness.ts';
import { hasMosquitto } from '../../testing/mosquitto.ts';

describeDeviceBroker('the embedded one', startEmbedded, { retainsPresence: false });
describe.skipIf(!hasMosquitto)('mosquitto', () => describeDeviceBroker('Mosquitto', startMosquitto, { retainsPresence: true }));
