package drill

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

const (
	textMissingToken = "Missing Authentication Token"
	textIncomplete   = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters, and the request an 'X-Amz-Date' header."
	textThrottled    = "Rate exceeded"
)

// cborProtocol is Smithy RPC v2 CBOR with the error names of the Query protocol
// that the service spoke before.
var cborProtocol = protocol{
	write:           writeCBORError,
	unknown:         apiError{http.StatusNotFound, "UnknownOperationException", "unknown operation"},
	missingToken:    apiError{http.StatusForbidden, "MissingAuthenticationToken", textMissingToken},
	malformedHeader: apiError{http.StatusBadRequest, "IncompleteSignature", textIncomplete},
	badSignature:    apiError{http.StatusForbidden, "SignatureDoesNotMatch", ""},
	denied:          apiError{http.StatusForbidden, "AccessDenied", ""},
	throttled:       apiError{http.StatusBadRequest, "Throttling", textThrottled},
}

// jsonProtocol is awsJson 1.1.
var jsonProtocol = protocol{
	write:           writeJSONError,
	unknown:         apiError{http.StatusBadRequest, "UnknownOperationException", "unknown operation"},
	missingToken:    apiError{http.StatusBadRequest, "MissingAuthenticationTokenException", textMissingToken},
	malformedHeader: apiError{http.StatusBadRequest, "IncompleteSignatureException", textIncomplete},
	badSignature:    apiError{http.StatusBadRequest, "InvalidSignatureException", ""},
	denied:          apiError{http.StatusBadRequest, "AccessDeniedException", ""},
	throttled:       apiError{http.StatusBadRequest, "ThrottlingException", textThrottled},
}

// queryProtocol is awsQuery.
var queryProtocol = protocol{
	write:           writeXMLError,
	unknown:         apiError{http.StatusBadRequest, "InvalidAction", "Could not find operation."},
	missingToken:    apiError{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"},
	malformedHeader: apiError{http.StatusBadRequest, "IncompleteSignature", textIncomplete},
	badSignature:    apiError{http.StatusForbidden, "SignatureDoesNotMatch", ""},
	denied:          apiError{http.StatusForbidden, "AccessDenied", ""},
	throttled:       apiError{http.StatusBadRequest, "Throttling", textThrottled},
}

// cborTimes writes timestamps as tag 1, as the protocol demands.
var cborTimes = sync.OnceValue(func() cbor.EncMode {
	mode, err := cbor.EncOptions{Time: cbor.TimeUnix, TimeTag: cbor.EncTagRequired}.EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
})

func writeCBOR(rw http.ResponseWriter, status int, v any) error {
	b, err := cborTimes().Marshal(v)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "application/cbor")
	rw.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	rw.WriteHeader(status)
	_, _ = rw.Write(b) // the client may have gone
	return nil
}

func writeCBORError(rw http.ResponseWriter, e apiError) {
	fault := "Sender"
	if e.status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	rw.Header().Set("X-Amzn-Query-Error", e.code+";"+fault)
	_ = writeCBOR(rw, e.status, map[string]string{"__type": "com.amazonaws.cloudwatch#" + e.code, "message": e.message})
}

func writeAWSJSON(rw http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
	rw.WriteHeader(status)
	_, _ = rw.Write(b) // the client may have gone
	return nil
}

func writeJSONError(rw http.ResponseWriter, e apiError) {
	_ = writeAWSJSON(rw, e.status, map[string]string{"__type": e.code, "message": e.message})
}

func writeXML(rw http.ResponseWriter, status int, v any) error {
	b, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	rw.Header().Set("Content-Type", "text/xml")
	rw.WriteHeader(status)
	_, _ = rw.Write(b) // the client may have gone
	return nil
}

type xmlError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Type    string   `xml:"Error>Type"`
	Code    string   `xml:"Error>Code"`
	Message string   `xml:"Error>Message"`
	Request string   `xml:"RequestId"`
}

func writeXMLError(rw http.ResponseWriter, e apiError) {
	x := xmlError{Type: "Sender", Code: e.code, Message: e.message, Request: rw.Header().Get("X-Amzn-Requestid")}
	if e.status >= http.StatusInternalServerError {
		x.Type = "Receiver"
	}
	_ = writeXML(rw, e.status, x)
}

// form is the body's form, or the query where there is none.
func (c awsCall) form() url.Values {
	if form, err := url.ParseQuery(string(c.body)); err == nil && form.Has("Action") {
		return form
	}
	return c.URL.Query()
}

// readJSON decodes the body, and refuses it as AWS does.
func (c awsCall) readJSON(v any) error {
	if err := json.Unmarshal(c.body, v); err != nil {
		return apiError{http.StatusBadRequest, "SerializationException", "request body is not valid JSON for this operation"}
	}
	return nil
}

// readCBOR decodes the body, and refuses it as AWS does.
func (c awsCall) readCBOR(v any) error {
	if err := cbor.Unmarshal(c.body, v); err != nil {
		return apiError{http.StatusBadRequest, "SerializationException", "request body is not valid CBOR for this operation"}
	}
	return nil
}
