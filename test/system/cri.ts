// Kubernetes' interface to containerd (CRI, `runtime/v1/api.proto`), as far as a test wants it.
import { setTimeout } from 'node:timers/promises';
import { GrpcClient } from '@anole/containerd';
import {
  embedded,
  int,
  message,
  string,
  strings,
} from '../../packages/containerd/src/protobuf/message.ts';

const runtime = (method: string) => `/runtime.v1.RuntimeService/${method}`;
const Empty = message({});
const ImageSpec = message({ image: string(1) });
const PodMetadata = message({ name: string(1), uid: string(2), namespace: string(3) });
const Namespaces = message({ network: int(1), pid: int(2) });
const PodConfig = message({
  metadata: embedded(1, PodMetadata),
  logDirectory: string(3),
  linux: embedded(
    8,
    message({ securityContext: embedded(2, message({ namespaces: embedded(1, Namespaces) })) }),
  ),
});
const ContainerConfig = message({
  metadata: embedded(1, message({ name: string(1) })),
  image: embedded(2, ImageSpec),
  command: strings(3),
  logPath: string(11),
});
const PodId = message({ podId: string(1) });
const ContainerId = message({ containerId: string(1) });
/** Of `NamespaceMode`: that of the computer. */
const NODE = 2;

const methods = {
  pullImage: {
    path: '/runtime.v1.ImageService/PullImage',
    request: message({ image: embedded(1, ImageSpec) }),
    answer: message({ imageRef: string(1) }),
  },
  runPod: {
    path: runtime('RunPodSandbox'),
    request: message({ config: embedded(1, PodConfig) }),
    answer: PodId,
  },
  createContainer: {
    path: runtime('CreateContainer'),
    request: message({
      podId: string(1),
      config: embedded(2, ContainerConfig),
      podConfig: embedded(3, PodConfig),
    }),
    answer: ContainerId,
  },
  startContainer: { path: runtime('StartContainer'), request: ContainerId, answer: Empty },
  stopPod: { path: runtime('StopPodSandbox'), request: PodId, answer: Empty },
  removePod: { path: runtime('RemovePodSandbox'), request: PodId, answer: Empty },
};

/** What a kubelet does with containerd. */
export class Kubelet implements Disposable {
  readonly #client: GrpcClient;

  constructor(socket: string) {
    this.#client = new GrpcClient(socket);
  }

  /** @returns digest of the image's configuration */
  async pull(image: string): Promise<string> {
    return (await this.#client.call(methods.pullImage, { image: { image } })).imageRef;
  }

  /** Starts a pod in the network of the computer, with one container. @returns the pod's id */
  async run(image: string, command: readonly string[], logDirectory: string): Promise<string> {
    const config = {
      metadata: { name: 'pod', uid: 'uid', namespace: 'default' },
      logDirectory,
      linux: { securityContext: { namespaces: { network: NODE } } },
    };
    const { podId } = await this.#client.call(methods.runPod, { config });
    const container = { metadata: { name: 'one' }, image: { image }, command, logPath: 'one.log' };
    const created = { podId, config: container, podConfig: config };
    const { containerId } = await this.#client.call(methods.createContainer, created);
    await this.#client.call(methods.startContainer, { containerId });
    return podId;
  }

  async remove(podId: string): Promise<void> {
    await this.#stop(podId);
    await this.#client.call(methods.removePod, { podId });
  }

  /** A kubelet tries again: containerd loses the shim of a container that ends while it is stopped. */
  async #stop(podId: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#client.call(methods.stopPod, { podId });
        return;
      } catch (error) {
        if (tries === 10 || !/ttrpc: closed/.test(String(error))) throw error;
        await setTimeout(200);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}
