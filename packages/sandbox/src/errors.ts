import { AnoleError, type ErrorOptions } from '@anole/bytes';

export type SandboxCode =
  /** The agent in the guest said something the protocol does not know. */
  | 'SANDBOX_AGENT'
  /** The sandbox was closed while, or before, a call needed it. */
  | 'SANDBOX_CLOSED'
  /** The image names no file, directory or recipe. */
  | 'SANDBOX_BAD_IMAGE'
  /** An option that no sandbox can have. */
  | 'SANDBOX_BAD_OPTION'
  /** The command or its directory cannot be read: the image, or a volume, is damaged. */
  | 'SANDBOX_DAMAGED'
  /** A port that cannot be published: another program has it, or it needs rights. */
  | 'SANDBOX_BAD_PORT'
  /** A volume that cannot be offered. */
  | 'SANDBOX_BAD_VOLUME'
  /** Bytes of a saved sandbox are missing or changed. */
  | 'SANDBOX_FILE_DAMAGED'
  /** The file is no saved sandbox, or stands on another image. */
  | 'SANDBOX_FILE_FOREIGN'
  /** Another version saved the sandbox. */
  | 'SANDBOX_FILE_VERSION'
  /** The guest did not come up in time. */
  | 'SANDBOX_BOOT'
  /** The machine or its worker failed. */
  | 'SANDBOX_ENGINE'
  /** The command wrote more than allowed and was killed. */
  | 'SANDBOX_OUTPUT'
  /** The sandbox is paused. */
  | 'SANDBOX_PAUSED'
  /** The working directory is not one of the image's. */
  | 'SANDBOX_NO_DIRECTORY'
  /** The command is not in the image; exit code 127. */
  | 'SANDBOX_NOT_FOUND'
  /** The command's file cannot be executed; exit code 126. */
  | 'SANDBOX_NOT_EXECUTABLE'
  /** The user or group is not in the image. */
  | 'SANDBOX_NO_USER'
  /** The guest kernel stopped for want of memory. */
  | 'SANDBOX_OUT_OF_MEMORY'
  /** The guest kernel stopped itself. */
  | 'SANDBOX_PANIC'
  /** The guest has no process, pipe or terminal left. */
  | 'SANDBOX_RESOURCES'
  /** The command ran longer than allowed and was killed; exit code 124. */
  | 'SANDBOX_TIMEOUT';

/** Raised by sandboxes for what they foresee. How a command ends is never an error, but an exit. */
export class SandboxError extends AnoleError {
  declare readonly code: SandboxCode;
  constructor(code: SandboxCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
