/** Why a link is deleted. Source: RFC 7609 appendix A.3.4, Linux smc_llc.h SMC_LLC_DEL_*. */
export function explainDeletion(reason: number): string {
  return deletions.get(reason) ?? `reason 0x${reason.toString(16).padStart(8, '0')}`;
}

const deletions = new Map([
  [0x00010000, 'the path was lost'],
  [0x00020000, 'the operator ended it'],
  [0x00030000, 'the program ended it'],
  [0x00040000, 'the protocol was violated'],
  [0x00050000, 'the asymmetric link is not needed any more'],
]);
