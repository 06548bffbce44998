// Checks what a log has handed out with Go's own packages for checksum databases.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var folder string

func read(name string) []byte {
	data, err := os.ReadFile(filepath.Join(folder, name))
	check(err)
	return data
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func require(holds bool, what string) {
	if !holds {
		check(fmt.Errorf("%s", what))
	}
}

// tree is the checkpoint of a note: its first line is the origin, which ParseTree wants to be its own.
func tree(name string, verifiers note.Verifiers) tlog.Tree {
	opened, err := note.Open(read(name), verifiers)
	check(err)
	require(len(opened.Sigs) == 1, "one signature is verified")
	lines := strings.SplitN(opened.Text, "\n", 2)
	parsed, err := tlog.ParseTree([]byte("go.sum database tree\n" + lines[1]))
	check(err)
	return parsed
}

type files struct{}

func (files) Height() int { return 8 }

func (files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		name := fmt.Sprintf("tile-%d-%03d", tile.L, tile.N)
		if tile.W < 256 {
			name += fmt.Sprintf(".p-%d", tile.W)
		}
		data = append(data, read(name))
	}
	return data, nil
}

func (files) SaveTiles([]tlog.Tile, [][]byte) {}

type proof struct {
	Position int64    `json:"position"`
	Proof    []string `json:"proof"`
}

func (p proof) hashes() []tlog.Hash {
	var hashes []tlog.Hash
	for _, text := range p.Proof {
		data, err := base64.StdEncoding.DecodeString(text)
		check(err)
		var hash tlog.Hash
		require(copy(hash[:], data) == len(hash), "a hash has 32 bytes")
		hashes = append(hashes, hash)
	}
	return hashes
}

func main() {
	folder = os.Args[1]
	verifier, err := note.NewVerifier(string(read("key")))
	check(err)
	verifiers := note.VerifierList(verifier)
	earlier, later := tree("old", verifiers), tree("new", verifiers)

	var grown proof
	check(json.Unmarshal(read("consistency"), &grown))
	check(tlog.CheckTree(tlog.TreeProof(grown.hashes()), later.N, later.Hash, earlier.N, earlier.Hash))

	lines := bytes.Split(bytes.TrimSuffix(read("lines"), []byte("\n")), []byte("\n"))
	require(int64(len(lines)) == later.N, "there are as many lines as the checkpoint says")
	reader := tlog.TileHashReader(later, files{})
	for position, line := range lines {
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(position))})
		check(err)
		require(hashes[0] == tlog.RecordHash(line), fmt.Sprintf("line %d is that of its tile", position))
	}

	proofs := bytes.Split(bytes.TrimSpace(read("inclusion")), []byte("\n"))
	for _, text := range proofs {
		var included proof
		check(json.Unmarshal(text, &included))
		leaf := tlog.RecordHash(lines[included.Position])
		record := tlog.RecordProof(included.hashes())
		check(tlog.CheckRecord(record, later.N, later.Hash, included.Position, leaf))
		require(tlog.CheckRecord(record, later.N, later.Hash, included.Position, tlog.RecordHash(nil)) != nil,
			"another line is not proved")
	}
	fmt.Printf("accepted: 2 checkpoints, 1 consistency proof, %d inclusion proofs, every line by its tile\n", len(proofs))
}
