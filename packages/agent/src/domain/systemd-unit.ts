export interface UnitOptions {
  /** The program and its first arguments, absolute. */
  program: readonly string[];
  /** Folder of the Node that runs it. */
  nodeFolder: string;
  /** Ceiling for the agent and everything that it serves: bytes with a unit, or a share of the machine, as systemd writes it. */
  memoryMax: string;
}

/** Name of the unit, of its folder below /var/lib and of the one below /etc. */
export const UNIT_NAME = 'selvedge-agent';
export const STATE_FOLDER = `/var/lib/${UNIT_NAME}`;
/** Holds SELVEDGE_JOIN_URL and SELVEDGE_JOIN_TOKEN until the first start has joined; only root reads it. */
export const JOIN_FILE = `/etc/${UNIT_NAME}/join.env`;

/** A word of a unit file's command line. @see systemd.service(5), "Command lines" */
function quoted(word: string): string {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /[\s"'\\;]/.test(word) ? `"${escaped}"` : escaped;
}

/**
 * The unit that keeps the agent running: a user of its own that systemd makes, one folder that it may write, no way to more
 * rights. Programs that write their own code (Node's compiler in the model server) are allowed, and sockets of the internet.
 *
 * @see systemd.exec(5), systemd.resource-control(5)
 */
export function systemdUnit({ program, nodeFolder, memoryMax }: UnitOptions): string {
  return `[Unit]
Description=Selvedge agent: serves models on this device as its server tells it
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${[...program, 'run', '--dir', STATE_FOLDER].map(quoted).join(' ')}
Environment=${quoted(`PATH=${nodeFolder}:/usr/local/bin:/usr/bin:/bin`)}
EnvironmentFile=-${JOIN_FILE}
Restart=always
RestartSec=5
TimeoutStopSec=30
KillMode=mixed
OOMPolicy=continue

DynamicUser=yes
StateDirectory=${UNIT_NAME}
StateDirectoryMode=0700
UMask=0077

MemoryMax=${memoryMax}
TasksMax=512
LimitNOFILE=8192

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}
