import type { Device } from '@selvedge/contract';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { changeCommands, type DeviceForm, deviceDocument, deviceForm, factsOf, mergeFacts, readDeviceForm } from '../../lib/device-edit.ts';
import { isKind } from '../../lib/patch.ts';
import { useBackend } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { CodeBlock } from '../../ui/code-block.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorState } from '../../ui/error-state.tsx';
import { TextAreaField, TextField } from '../../ui/field.tsx';
import { useToasts } from '../../ui/toast.tsx';
import { BudgetFields } from './budget-fields.tsx';
import { LabelRows } from './label-rows.tsx';

/** Opens the dialog in which people say what a device is, where it is, and which labels it has. */
export function EditDeviceButton({ device }: { device: Device }): ReactNode {
  const [editing, setEditing] = useState(false);
  return (
    <>
      <Button size="sm" icon="edit" onClick={() => setEditing(true)}>
        Edit
      </Button>
      {editing && <EditDeviceDialog device={device} onClose={() => setEditing(false)} />}
    </>
  );
}

/**
 * Writes only what was changed here, on top of what the device is like at that moment. What somebody else has changed
 * meanwhile in another way is shown first.
 */
function EditDeviceDialog({ device, onClose }: { device: Device; onClose: () => void }): ReactNode {
  const { client } = useBackend();
  const { say } = useToasts();
  const { name } = device.metadata;
  // The device as it was when the dialog opened, not as the stream makes it: else nobody would see that it was changed.
  const [base, setBase] = useState(() => factsOf(device));
  const [form, setForm] = useState(() => deviceForm(base));
  const [clash, setClash] = useState<{ what: readonly string[]; theirs: DeviceForm }>();
  const read = readDeviceForm(form, base);
  const commands = read.ok ? changeCommands(name, base, read.facts) : [];
  const save = useMutation({
    mutationFn: async () => {
      if (!read.ok) return undefined;
      const newest = await client.getResource({ params: { plural: 'devices', name } });
      if (!isKind(newest, 'Device')) throw new Error(`the server answered with a ${newest.kind} instead of a Device`);
      const now = factsOf(newest);
      const { facts, clashes } = mergeFacts(base, read.facts, now);
      if (clashes.length > 0) return { now, facts, clashes };
      await client.apply({ body: { documents: [deviceDocument(name, facts)] } });
      return undefined;
    },
    onSuccess: (refused) => {
      if (refused === undefined) {
        onClose();
        say(`Device ${name} is changed.`);
        return;
      }
      setBase(refused.now);
      setForm(deviceForm(refused.facts));
      setClash({ what: refused.clashes, theirs: deviceForm(refused.now) });
    },
  });
  const takeTheirs = (theirs: DeviceForm) => {
    setForm(theirs);
    setClash(undefined);
  };
  return (
    <Dialog
      open
      wide
      onOpenChange={(open) => !open && onClose()}
      title={`Edit ${name}`}
      description="What people say about the device. Deployments and groups select devices by their labels."
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button variant="primary" busy={save.isPending} disabled={commands.length === 0} onClick={() => save.mutate()}>
            {clash === undefined ? 'Save' : 'Overwrite'}
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-1 gap-x-4 gap-y-2 pb-2 sm:grid-cols-2">
        {clash !== undefined && <ClashWarning what={clash.what} onTake={() => takeTheirs(clash.theirs)} />}
        <DeviceFields form={form} faults={read.ok ? {} : read.faults} device={device} onChange={setForm} />
        <div className="sm:col-span-2">
          <LabelRows rows={form.labels} faults={read.ok ? [] : read.labelFaults} onChange={(labels) => setForm({ ...form, labels })} />
        </div>
        <div className="min-w-0 sm:col-span-2">
          <BudgetFields
            form={form.budgets}
            faults={read.ok ? {} : read.budgetFaults}
            device={device}
            onChange={(budgets) => setForm({ ...form, budgets })}
          />
        </div>
        {commands.length > 0 && (
          <div className="grid min-w-0 gap-1 sm:col-span-2">
            <p className="text-xs text-ink-3">From a terminal</p>
            <CodeBlock code={commands.join('\n')} label="Commands that make the same changes" />
          </div>
        )}
        {save.isError && (
          <div className="sm:col-span-2">
            <ErrorState error={save.error} />
          </div>
        )}
      </div>
    </Dialog>
  );
}

function ClashWarning({ what, onTake }: { what: readonly string[]; onTake: () => void }): ReactNode {
  const element = useRef<HTMLDivElement>(null);
  // It comes above fields that may have been scrolled away, while one looks at the button below them.
  useEffect(() => element.current?.scrollIntoView({ block: 'nearest' }), []);
  return (
    <div
      ref={element}
      role="alert"
      className="flex flex-wrap items-center gap-3 rounded-md border border-warn/50 bg-warn-soft p-3 text-sm sm:col-span-2"
    >
      <p className="min-w-0 flex-1 basis-60 break-words">
        <strong className="font-semibold">Somebody else has changed {what.join(', ')} meanwhile.</strong> Below is what you wrote;
        everything else is as it is now.
      </p>
      <Button size="sm" onClick={onTake}>
        Take over theirs
      </Button>
    </div>
  );
}

function DeviceFields({
  form,
  faults,
  device,
  onChange,
}: {
  form: DeviceForm;
  faults: Partial<Record<'description' | 'notes' | 'place' | 'latitude' | 'longitude', string>>;
  device: Device;
  onChange: (form: DeviceForm) => void;
}): ReactNode {
  const said = device.status.location;
  const unset = said === undefined ? 'Empty: not known' : `Empty: ${said.latitude}, ${said.longitude}, as the device says`;
  return (
    <>
      <div className="sm:col-span-2">
        <TextField
          label="Description"
          value={form.description}
          error={faults.description}
          onChange={(event) => onChange({ ...form, description: event.target.value })}
        />
      </div>
      <div className="sm:col-span-2">
        <TextAreaField
          label="Notes"
          rows={3}
          value={form.notes}
          error={faults.notes}
          onChange={(event) => onChange({ ...form, notes: event.target.value })}
        />
      </div>
      <div className="sm:col-span-2">
        <TextField
          label="Place"
          value={form.place}
          placeholder="hall 3, gate B"
          error={faults.place}
          onChange={(event) => onChange({ ...form, place: event.target.value })}
        />
      </div>
      <TextField
        label="Latitude"
        inputMode="decimal"
        value={form.latitude}
        placeholder="52.52"
        error={faults.latitude}
        hint={form.latitude === '' ? unset : 'Degrees north'}
        onChange={(event) => onChange({ ...form, latitude: event.target.value })}
      />
      <TextField
        label="Longitude"
        inputMode="decimal"
        value={form.longitude}
        placeholder="13.405"
        error={faults.longitude}
        hint="Degrees east"
        onChange={(event) => onChange({ ...form, longitude: event.target.value })}
      />
    </>
  );
}
