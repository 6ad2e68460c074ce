// Go's net and net/http: an echo, or an HTTP server.
//
//	go_server echo|http PORT|PATH
package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
)

func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 64*1024)
	for {
		size, err := connection.Read(buffer)
		if size > 0 {
			if _, failed := connection.Write(buffer[:size]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func answer(writer http.ResponseWriter, request *http.Request) {
	writer.Header().Set("Content-Type", "text/plain")
	content := []byte("Hello, World!")
	if request.Method == "POST" && request.URL.Path == "/upload" {
		size, _ := io.Copy(io.Discard, request.Body)
		content = []byte(strconv.FormatInt(size, 10))
	} else if request.Method == "POST" {
		content, _ = io.ReadAll(request.Body)
	}
	writer.Header().Set("Content-Length", strconv.Itoa(len(content)))
	writer.Write(content)
}

func main() {
	kind, address := os.Args[1], os.Args[2]
	network := "unix"
	if _, err := strconv.Atoi(address); err == nil {
		network, address = "tcp", "127.0.0.1:"+address
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		log.Fatal(err)
	}
	if kind == "http" {
		log.Fatal(http.Serve(listener, http.HandlerFunc(answer)))
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(connection)
	}
}
