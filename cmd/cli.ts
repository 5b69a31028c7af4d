/** Every command but `run` itself: loaded only when one is asked for. */
export async function cli(argv: readonly string[]): Promise<void> {
  console.log(argv);
}
