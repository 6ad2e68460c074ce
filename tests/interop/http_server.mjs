// An HTTP server that reads every request to its end and answers 200: node http_server.mjs PATH
import http from "node:http";

const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => response.end("ok"));
});
server.listen(process.argv[2]);
