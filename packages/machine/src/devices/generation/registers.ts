/** Virtual Machine Generation ID (Microsoft, "Virtual Machine Generation ID"), 128 bits. */
export const ID_SIZE = 16;
