/** One paragraph of control data: values by field name, whatever the case. */
export interface ControlFields {
  /** The value, folded lines joined by '\n' without their leading space; undefined where absent. */
  get(field: string): string | undefined;
  /** Names as written, in their order. */
  names(): readonly string[];
}
