// Sends requests with Node's fetch: node http_client.mjs ORIGIN COUNT. Says what came back.
const [origin, count] = [process.argv[2], Number(process.argv[3])];
const results = [];
for (let number = 0; number < count; number++) {
  const content = "x".repeat(number * 1000);
  const options = number % 2 ? { method: "POST", body: content } : {};
  const response = await fetch(`${origin}/anything/${number}`, options);
  const told = await response.json();
  results.push([response.status, told.method, told.target, told.content.length]);
}
console.log(JSON.stringify(results));
