// What Node's HTTP client sees of each path: node faults.mjs OPTIONS PATH...
// Says the status, 0 for none, and how many octets of content there were, or the code of the error.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'

const where = JSON.parse(process.argv[2])
const client = where.certificate ? https : http
if (where.certificate) where.ca = readFileSync(where.certificate)

const get = (path) =>
  new Promise((resolve) => {
    const request = client.get({ ...where, path, agent: false }, (response) => {
      let octets = 0
      response.on('data', (data) => {
        octets += data.length
      })
      response.on('error', (error) => resolve([response.statusCode, error.code]))
      response.on('end', () => resolve([response.statusCode, octets]))
    })
    request.on('error', (error) => resolve([0, error.code]))
  })

const seen = {}
for (const path of process.argv.slice(3)) seen[path] = await get(path)
console.log(JSON.stringify(seen))
