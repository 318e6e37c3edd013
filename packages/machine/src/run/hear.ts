/** A port of Node's. */
interface NodePort {
  on?(event: 'message', listener: (data: unknown) => void): void;
}

/**
 * Sets who hears what comes through a port, also as Node would have it: without an event. For the first one of a
 * thread Node loads all it has to fetch pages, 25 to 60 ms.
 */
export function hear(port: MessagePort & NodePort, listener: (data: unknown) => void): void {
  if (port.on !== undefined) port.on('message', listener);
  else port.onmessage = ({ data }) => listener(data);
}
