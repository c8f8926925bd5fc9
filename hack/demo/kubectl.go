package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// kubectl runs the real one, in the project's folder as a person would.
func (s *stage) kubectl(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, s.bin("kubectl"), args...)
	command.Dir = s.root
	command.Env = append(os.Environ(),
		"KUBECONFIG="+s.file("kubeconfig"),
		"PATH="+s.bin("")+":"+os.Getenv("PATH"), // kubectl finds its plugin there
		"HOME="+s.dir, // kubectl's own cache goes with the rest
	)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", typed(args), err, problems.String())
	}
	return string(out) + problems.String(), nil
}

// show runs kubectl and shows the command and its answer.
func (s *stage) show(ctx context.Context, args ...string) error {
	return s.excerpt(ctx, func(out string) string { return out }, args...)
}

// excerpt shows a part of the answer.
func (s *stage) excerpt(ctx context.Context, part func(string) string, args ...string) error {
	out, err := s.kubectl(ctx, args...)
	if err != nil {
		return err
	}
	s.tell.show(typed(args), part(out))
	return nil
}

// typed is the command as a person would type it into a shell.
func typed(args []string) string {
	words := []string{"kubectl"}
	for _, arg := range args {
		if strings.ContainsAny(arg, ` "'{}[]()$@*?|&;<>`) {
			flag, value, hasFlag := strings.Cut(arg, "=")
			if hasFlag && strings.HasPrefix(flag, "-") {
				arg = flag + "='" + value + "'"
			} else {
				arg = "'" + arg + "'"
			}
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
