package redacted_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	"github.com/defender-tenant/operator/internal/redacted"
)

const value = "hunter2-hunter2"

// hidden is a struct as any package has it: methods of what it holds cannot be called.
type hidden struct{ secret redacted.String }

// shown is a struct that encoders look into.
type shown struct {
	Secret  redacted.String
	Pointer *redacted.String
	List    []redacted.String
	Map     map[string]redacted.String
}

func holders() map[string]any {
	secret := redacted.New(value)
	return map[string]any{
		"the value":                   secret,
		"a pointer":                   &secret,
		"a list":                      []redacted.String{secret},
		"a map":                       map[string]redacted.String{"key": secret},
		"an interface":                []any{secret},
		"an exported field":           shown{secret, &secret, []redacted.String{secret}, map[string]redacted.String{"key": secret}},
		"a hidden field":              hidden{secret},
		"a pointer to a hidden field": &hidden{secret},
		"a map of hidden fields":      map[hidden]bool{{secret}: true},
		"a hidden field, twice":       struct{ inner hidden }{hidden{secret}},
	}
}

func TestInvariant2_NoVerbShowsTheValue(t *testing.T) {
	for name, holder := range holders() {
		t.Run(name, func(t *testing.T) {
			for _, verb := range "vTtbcdoOqxXUeEfFgGspwz!" {
				for _, flag := range []string{"", "+", "#", " ", "0", "-", "40", ".3", "+#"} {
					format := "%" + flag + string(verb)
					assertHidden(t, format, fmt.Sprintf(format, holder))
				}
			}
			assertHidden(t, "Sprint", fmt.Sprint(holder))
			assertHidden(t, "Errorf", fmt.Errorf("wrap: %v", holder).Error())
			for _, wrong := range []string{"no verb", "%*d", "%[9]d", "%"} {
				assertHidden(t, wrong, fmt.Sprintf(wrong, holder))
			}
		})
	}
}

func TestInvariant2_NoEncoderShowsTheValue(t *testing.T) {
	encoders := map[string]func(any) ([]byte, error){
		"JSON": json.Marshal,
		"YAML": yaml.Marshal,
		"XML":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(v)
			return out.Bytes(), err
		},
	}
	for encoder, encode := range encoders {
		for name, holder := range holders() {
			t.Run(encoder+" of "+name, func(t *testing.T) {
				out, err := encode(holder)
				assertHidden(t, "output", string(out))
				if err != nil { // not every encoder can write every holder
					assertHidden(t, "error", err.Error())
				}
			})
		}
	}
}

func TestInvariant2_NoLoggerShowsTheValue(t *testing.T) {
	for name, holder := range holders() {
		t.Run("slog text: "+name, func(t *testing.T) {
			var out bytes.Buffer
			slog.New(slog.NewTextHandler(&out, nil)).Info("Line", "key", holder)
			assertLogged(t, out.String())
		})
		t.Run("slog JSON: "+name, func(t *testing.T) {
			var out bytes.Buffer
			slog.New(slog.NewJSONHandler(&out, nil)).With("with", holder).Info("Line", "key", holder)
			assertLogged(t, out.String())
		})
		t.Run("zap JSON: "+name, func(t *testing.T) {
			var out bytes.Buffer
			zap.New(zap.WriteTo(&out)).WithValues("with", holder).Info("Line", "key", holder)
			assertLogged(t, out.String())
		})
		t.Run("zap console: "+name, func(t *testing.T) {
			var out bytes.Buffer
			zap.New(zap.WriteTo(&out), zap.UseDevMode(true)).WithValues("with", holder).V(1).Info("Line", "key", holder)
			assertLogged(t, out.String())
		})
		t.Run("logr: "+name, func(t *testing.T) {
			var out strings.Builder
			funcr.New(func(prefix, args string) { out.WriteString(prefix + args + "Line") }, funcr.Options{}).Info("Line", "key", holder)
			assertLogged(t, out.String())
		})
	}
}

func TestString(t *testing.T) {
	t.Run("the value comes back", func(t *testing.T) {
		if got := redacted.New(value).Reveal(); got != "hunter2-hunter2" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("the placeholder says that something is hidden", func(t *testing.T) {
		secret := redacted.New(value)
		encoded, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []string{secret.String(), secret.GoString(), fmt.Sprint(secret), fmt.Sprintf("%#v", secret), strings.Trim(string(encoded), `"`)} {
			if got != "[redacted]" {
				t.Errorf("got %q", got)
			}
		}
	})
	t.Run("every verb that prints a value prints the placeholder", func(t *testing.T) {
		for _, verb := range "vtbcdoOqxXUeEfFgGs" {
			if got := fmt.Sprintf("%"+string(verb), redacted.New(value)); got != "[redacted]" {
				t.Errorf("%c: %q", verb, got)
			}
		}
	})
	t.Run("the zero value is empty and can be used", func(t *testing.T) {
		var none redacted.String
		if !none.IsEmpty() || none.Reveal() != "" || fmt.Sprint(none) != "[redacted]" {
			t.Errorf("empty %t, value %q, text %q", none.IsEmpty(), none.Reveal(), fmt.Sprint(none))
		}
	})
	t.Run("emptiness tells of the value", func(t *testing.T) {
		if !redacted.New("").IsEmpty() || redacted.New("x").IsEmpty() {
			t.Error("wrong")
		}
	})
	t.Run("equal values are deeply equal", func(t *testing.T) {
		if !reflect.DeepEqual(redacted.New("a"), redacted.New("a")) || reflect.DeepEqual(redacted.New("a"), redacted.New("b")) {
			t.Error("wrong")
		}
	})
}

func assertLogged(t *testing.T, line string) {
	t.Helper()
	if !strings.Contains(line, "Line") {
		t.Errorf("nothing was logged: %q", line)
	}
	assertHidden(t, "log", line)
}

// assertHidden looks for the value as it is, in hexadecimal and as a list of numbers.
func assertHidden(t *testing.T, what, text string) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, form := range []string{"hunter", "68756e746572", "68 75 6e 74", "104 117 110", "aHVudGVy", "0x68, 0x75", "u+0068"} {
		if strings.Contains(lower, strings.ToLower(form)) {
			t.Errorf("%s shows the value: %q", what, text)
		}
	}
}
