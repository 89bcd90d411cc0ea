/**
 * The run in the page's address: what stands after `#` is the string that `Simulation.link()` gives and that
 * `sansq sim --run` takes.
 */

/** The link in the address, if there is one. */
export function addressLink(): string | undefined {
  const hash = location.hash.slice(1);
  return hash === '' ? undefined : hash;
}

/** The whole address of a run. Quotes and spaces, which links in mails are cut off at, are escaped. */
export function writeAddress(link: string): string {
  const address = new URL(location.href);
  address.hash = link.replaceAll(' ', '%20').replaceAll('"', '%22').replaceAll('\n', '%0A');
  return address.href;
}

/** The name of the built-in scenario that a link starts from. */
export function scenarioOf(link: string): string | undefined {
  return new URLSearchParams(link).get('s') ?? undefined;
}
