// Node's http.
//
//     node node_http.js PORT
'use strict'

const http = require('http')

const HELLO = Buffer.from('Hello, World!')

function answer (response, content) {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': content.length })
  response.end(content)
}

const server = http.createServer((request, response) => {
  if (request.method === 'GET') {
    answer(response, HELLO)
    return
  }
  const upload = request.url === '/upload'
  const pieces = []
  let size = 0
  request.on('data', (piece) => {
    size += piece.length
    if (!upload) pieces.push(piece)
  })
  request.on('end', () => {
    answer(response, upload ? Buffer.from(String(size)) : Buffer.concat(pieces))
  })
})
server.keepAliveTimeout = 75000
server.listen({ port: Number(process.argv.pop()), host: '127.0.0.1', backlog: 4096 })
