import type { InferenceModel, ModelVersion, Package } from '@selvedge/contract';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { useList, useModel } from '../../lib/queries.ts';
import { Button } from '../../ui/button.tsx';
import { Card } from '../../ui/card.tsx';
import { CliHint } from '../../ui/cli-hint.tsx';
import { Page } from '../../ui/page.tsx';
import { QueryView } from '../../ui/query-view.tsx';
import { Segmented } from '../../ui/segmented.tsx';
import { RecallButton } from '../rollouts/recall-dialog.tsx';
import { AliasDialog } from './alias-dialog.tsx';
import { BuildDialog } from './build-dialog.tsx';
import { DeployDialog } from './deploy-dialog.tsx';
import { DeploymentList } from './deployment-list.tsx';
import { PackageList } from './package-list.tsx';
import { TryIt } from './try-it.tsx';
import { VersionDetail } from './version-detail.tsx';
import { VersionTable } from './version-table.tsx';

/** A model: its versions beside each other, where they are served, and a box to try them. */
export function ModelPage(): ReactNode {
  const { name } = useParams({ from: '/shell/models/$name' });
  const model = useModel(name);
  const deployments = useList('InferenceModel');
  const packages = useList('Package');
  const asked = useSearch({ from: '/shell/models/$name' }).deploy;
  const navigate = useNavigate();
  const [picked, setPicked] = useState<Deploying>();
  const [building, setBuilding] = useState(false);
  const [naming, setNaming] = useState(false);
  const served = (deployments.data ?? []).filter((item) => item.spec.modelName === name);
  const versions = model.data?.versions ?? [];
  const deploy = (version?: string, existing?: InferenceModel) => setPicked({ version, existing });
  // Who comes from a run changes the deployment that there is, and does not lose where it is deployed to.
  const fromRun =
    asked === undefined || deployments.data === undefined ? undefined : { version: asked, existing: served.find(named(name)) };
  const deploying = picked ?? fromRun;
  const onDeployed = () => {
    setPicked(undefined);
    if (asked !== undefined) void navigate({ to: '/models/$name', params: { name }, search: {}, replace: true });
  };
  return (
    <Page
      title={name}
      trail={
        <Link to="/models" className="hover:underline">
          Models
        </Link>
      }
      actions={
        <>
          <CliHint
            commands={[
              `selvedge model show ${name}`,
              `selvedge model compare ${name}`,
              `selvedge model lineage ${name}:latest`,
              `selvedge model alias ${name} champion VERSION`,
              `selvedge model note ${name}:latest "TEXT"`,
              `selvedge model card ${name}:latest --out MODEL_CARD.md`,
              `selvedge build create ${name}:latest --target linux-arm64`,
              'selvedge package list',
              `selvedge bench ${name}:latest --on DEVICE`,
              `selvedge recall --model ${name}:VERSION`,
              'selvedge apply -f inference-model.yaml',
              `selvedge infer ${served[0]?.metadata.name ?? name} picture.png`,
            ]}
          />
          <Button variant="primary" icon="deployment" disabled={versions.length === 0} onClick={() => deploy()}>
            Deploy
          </Button>
        </>
      }
    >
      <Card
        title="Versions"
        className="mb-4"
        flush
        actions={
          <Button size="sm" icon="edit" disabled={versions.length === 0} onClick={() => setNaming(true)}>
            Aliases
          </Button>
        }
      >
        <QueryView query={model} label={`model ${name}`} rows={4}>
          {(data) => <VersionTable versions={data.versions} aliases={data.model.status.aliases} onDeploy={deploy} />}
        </QueryView>
      </Card>
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)]">
        <div className="grid min-w-0 gap-4">
          <Card title="Deployments" flush>
            <QueryView query={deployments} label="deployments" rows={3}>
              {() => <DeploymentList deployments={served} onChange={(existing) => deploy(existing.spec.targetVersion, existing)} />}
            </QueryView>
          </Card>
          <Card
            title="Native packages"
            flush
            actions={
              <Button size="sm" icon="plus" disabled={versions.length === 0} onClick={() => setBuilding(true)}>
                Build
              </Button>
            }
          >
            <QueryView query={packages} label="packages" rows={2}>
              {(data) => <PackageList packages={packagesOf(name, data, versions)} />}
            </QueryView>
          </Card>
          {versions.length > 0 && <ChosenVersion key={name} versions={versions} />}
        </div>
        <TryIt deployments={served} />
      </div>
      {naming && model.data !== undefined && <AliasDialog model={model.data.model} versions={versions} onClose={() => setNaming(false)} />}
      {building && <BuildDialog model={name} versions={versions} onClose={() => setBuilding(false)} />}
      {deploying !== undefined && model.data !== undefined && (
        <DeployDialog model={name} versions={versions} version={deploying.version} existing={deploying.existing} onClose={onDeployed} />
      )}
    </Page>
  );
}

/** Those of the newest version first, then by target. */
function packagesOf(model: string, packages: readonly Package[], versions: readonly ModelVersion[]): readonly Package[] {
  const places = new Map(versions.map(({ spec }, index) => [spec.version, index]));
  const placeOf = ({ spec }: Package) => places.get(spec.version) ?? versions.length;
  return packages
    .filter(({ spec }) => spec.model === model)
    .toSorted((a, b) => placeOf(a) - placeOf(b) || a.metadata.name.localeCompare(b.metadata.name));
}

/** The deployment that has the name of its model: the one that is made when nobody names another. */
function named(name: string): (deployment: InferenceModel) => boolean {
  return ({ metadata }) => metadata.name === name;
}

interface Deploying {
  readonly version: string | undefined;
  readonly existing: InferenceModel | undefined;
}

const CHOICES_SHOWN = 6;

function ChosenVersion({ versions }: { versions: readonly ModelVersion[] }): ReactNode {
  const [picked, setPicked] = useState<string>();
  const shown = versions.find((version) => version.spec.version === picked) ?? versions[0];
  if (shown === undefined) return null;
  const options = versions.slice(0, CHOICES_SHOWN).map(({ spec }) => ({ id: spec.version, text: spec.version }));
  return (
    <Card
      title={`Version ${shown.spec.version}`}
      actions={
        <>
          {options.length > 1 && <Segmented label="Version" options={options} value={shown.spec.version} onChange={setPicked} />}
          <RecallButton source={{ model: shown.spec.model, modelVersion: shown.spec.version }} size="sm" />
        </>
      }
    >
      <VersionDetail version={shown} />
    </Card>
  );
}
