package entra

import "net/http"

func (e *Emulator) controlRoutes(mux *http.ServeMux) {}
