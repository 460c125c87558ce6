//! Who may frame the page, as the server writes it down: `https://host`, `https://host:8443`, `https://*.host`, `https://*.host:*`,
//! `http://host:3000`. No port is the scheme's own; `*.host` is what lies below the host, not the host; `http` lets `https` in.

const PATTERN = /^(https?):\/\/(\*\.)?([^/:*]+|\[[0-9a-f:]+\])(?::(\d+|\*))?$/;

export function matches(pattern: string, origin: string): boolean {
  const [, scheme, below, host, port = ''] = PATTERN.exec(pattern.toLowerCase()) ?? [];
  if (!host || !URL.canParse(origin)) return false;
  const { protocol, hostname, port: itsPort } = new URL(origin);
  const sameScheme = protocol === `${scheme}:` || (scheme === 'http' && protocol === 'https:');
  const sameHost = below ? hostname.endsWith(`.${host}`) : hostname === host;
  return sameScheme && sameHost && (port === '*' || port === itsPort);
}
