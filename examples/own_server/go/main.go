// The answers of LitServe's hello world, by net/http: {"input": x} is answered with {"output": x*x + x*x*x}.
package main

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
)

const mostBytes = 1 << 20

type request struct {
	Input *float64 `json:"input"`
}

type answer struct {
	Output float64 `json:"output"`
}

func predict(w http.ResponseWriter, r *http.Request) {
	var asked request
	body := http.MaxBytesReader(w, r.Body, mostBytes)
	if err := json.NewDecoder(body).Decode(&asked); err != nil || asked.Input == nil {
		http.Error(w, `{"error": "send {\"input\": NUMBER}"}`, http.StatusBadRequest)
		return
	}
	x := *asked.Input
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer{Output: x*x + x*x*x}); err != nil {
		log.Print(err)
	}
}

func setting(name, usual string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}

func main() {
	http.HandleFunc("POST /predict", predict)
	http.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	log.Fatal(http.ListenAndServe(net.JoinHostPort(setting("HOST", "127.0.0.1"), setting("PORT", "8001")), nil))
}
