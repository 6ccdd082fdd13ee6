package drill

import (
	"encoding/json"
	"net/http"
	"path"
)

// action is something that a person at the panel may do to the world.
type action func(w *World, r *http.Request) error

// actions by the last element of the POST path.
var actions = map[string]action{
	"rotate": func(w *World, r *http.Request) error {
		return w.Rotate(Rotation{Overlap: r.FormValue("overlap") != "", SameKid: r.FormValue("same_kid") != ""})
	},
	"break": func(w *World, r *http.Request) error { return w.Break(r.FormValue("health")) },
	"heal": func(w *World, _ *http.Request) error {
		w.Heal()
		return nil
	},
}

// Panel serves the world to a web page, below any path: GET answers with
// [State] as JSON; POST …/rotate (form values overlap, same_kid), …/break (form
// value health, see the IDP constants; default 503) and …/heal act and answer
// with the state afterwards. Requests of other sites are refused.
func (w *World) Panel() http.Handler {
	h := func(rw http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			writeJSON(rw, http.StatusOK, w.State())
		case http.MethodPost:
			w.act(rw, r)
		default:
			rw.Header().Set("Allow", "GET, HEAD, POST")
			panelError(rw, http.StatusMethodNotAllowed, "use GET for the state, POST for an action")
		}
	}
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(h))
}

func (w *World) act(rw http.ResponseWriter, r *http.Request) {
	do, ok := actions[path.Base(r.URL.Path)]
	if !ok {
		panelError(rw, http.StatusNotFound, "unknown action: use rotate, break or heal")
		return
	}
	r.Body = http.MaxBytesReader(rw, r.Body, 64<<10)
	if err := do(w, r); err != nil {
		panelError(rw, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(rw, http.StatusOK, w.State())
}

func panelError(rw http.ResponseWriter, status int, text string) {
	writeJSON(rw, status, map[string]string{"error": text})
}

func writeJSON(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(v) // the client may have gone
}
