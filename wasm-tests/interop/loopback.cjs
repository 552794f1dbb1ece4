// Loaded before a program of npm that would listen on every interface: it then
// listens on loopback alone.
const { Server } = require('node:net');

const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  const then = rest.find((one) => typeof one === 'function');
  return listen.call(this, typeof port === 'object' ? port : { port, host: '127.0.0.1' }, then);
};
